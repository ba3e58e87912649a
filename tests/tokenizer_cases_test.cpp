// Tokenizers that are unusual in one point, beside transformers 5.24.0, tokenizers 0.23.3 and llama.cpp b11549
// (fixtures/tokenizers/cases.json and gguf_cases.json say what they make of them).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

#include "base/error.h"
#include "formats/gguf_ends.h"
#include "gguf_builder.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace ingrain::tokenizer {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Ids = std::vector<int32_t>;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::filesystem::path kCaseFolder = std::filesystem::path(INGRAIN_TEST_FIXTURES) / "tokenizers";

const OrderedJson& fixture(const std::string& section) {
  static const OrderedJson instance = OrderedJson::parse(std::ifstream(kCaseFolder / "cases.json"));
  return instance[section];
}

/// The byte-level tokenizer of make_cases.py: three special tokens, the alphabet, no merges.
OrderedJson byte_level() {
  OrderedJson vocab = OrderedJson::object(), added = OrderedJson::array();
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    const auto id = static_cast<int64_t>(added.size());
    vocab[special] = id;
    added.push_back({{"id", id}, {"content", special}, {"special", true}, {"normalized", false}});
  }
  std::vector<std::string> letters;
  for (int byte = 0; byte < 256; ++byte) letters.push_back(write_bytes(std::string(1, static_cast<char>(byte))));
  std::sort(letters.begin(), letters.end());
  for (const std::string& letter : letters) vocab[letter] = vocab.size();
  return {{"added_tokens", added},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", OrderedJson::array()}}}};
}

Tokenizer with_files(const OrderedJson& c) {
  OrderedJson json = byte_level();
  if (c.value("tool", false))
    json["added_tokens"].push_back({{"id", 259}, {"content", "<tool>"}, {"normalized", true}});
  const auto text = [&](const char* name) { return c.contains(name) && !c[name].empty() ? c[name].dump() : ""; };
  const std::string config = text("config"), map = text("special_tokens_map"), added = text("added_tokens");
  return Tokenizer::from_json(json.dump(), {config, map, added}, "t.json");
}

TEST(FilesBeside, say_which_tokens_there_are_as_in_transformers) {
  ASSERT_GE(fixture("beside").size(), 24u);
  for (const OrderedJson& c : fixture("beside")) {
    const Tokenizer tokenizer = with_files(c);
    for (size_t i = 0; i < c["texts"].size(); ++i) {
      const auto text = c["texts"][i].get<std::string>();
      EXPECT_EQ(tokenizer.encode(text), c["ids"][i].get<Ids>()) << text << c["config"] << c["special_tokens_map"];
      EXPECT_EQ(tokenizer.encode(text, {.parse_special = false}), c["plain"][i].get<Ids>())
          << text << c["config"] << c["special_tokens_map"];
    }
    NamedTokens named;
    for (const auto& [name, content] : c["named"].items()) named.emplace_back(name, content.get<std::string>());
    EXPECT_EQ(tokenizer.named_tokens(), named) << c["config"];
  }
}

TEST(FilesBeside, nothing_is_guessed_where_a_file_says_null) {
  EXPECT_EQ(with_files({{"config", {{"bos_token", nullptr}, {"eos_token", nullptr}}}}).bos(), std::nullopt);
  EXPECT_EQ(with_files({{"config", {{"bos_token", nullptr}, {"eos_token", nullptr}}}}).eos(), std::nullopt);
  EXPECT_EQ(with_files({{"config", {{"pad_token", nullptr}}}}).bos(), 0);  // the well-known name
  EXPECT_EQ(with_files({{"config", {{"eos_token", "<|im_end|>"}}}}).eos(), 2);
  EXPECT_THAT(with_files({{"config", {{"bos_token", nullptr}}}}).named_tokens(), IsEmpty());
}

// As transformers 5.24.0 (findings/tokenizer-class-rebuilds-its-steps.sh).
TEST(FilesBeside, the_class_says_which_file_decides_on_a_space_before_the_text) {
  const auto begins_with_space = [](const OrderedJson& in_file, const OrderedJson& config) {
    OrderedJson json = byte_level();
    json["pre_tokenizer"]["add_prefix_space"] = in_file;
    const std::string text = config.dump();
    return Tokenizer::from_json(json.dump(), {.config = text}, "t.json").encode("a").size() == 2;
  };
  for (const char* name : {"GPT2Tokenizer", "GPT2TokenizerFast", "Qwen2Tokenizer", "GPTNeoXTokenizerFast"}) {
    EXPECT_FALSE(begins_with_space(true, {{"tokenizer_class", name}})) << name;
    EXPECT_FALSE(begins_with_space(true, {{"tokenizer_class", name}, {"add_prefix_space", false}})) << name;
    EXPECT_TRUE(begins_with_space(false, {{"tokenizer_class", name}, {"add_prefix_space", true}})) << name;
  }
  for (const char* name : {"PreTrainedTokenizerFast", "LlamaTokenizerFast", "TokenizersBackend", "Fast"}) {
    EXPECT_TRUE(begins_with_space(true, {{"tokenizer_class", name}, {"add_prefix_space", false}})) << name;
    EXPECT_FALSE(begins_with_space(false, {{"tokenizer_class", name}, {"add_prefix_space", true}})) << name;
  }
  EXPECT_TRUE(begins_with_space(true, {{"add_prefix_space", false}}));
}

TEST(FilesBeside, an_id_that_is_not_the_next_one_is_said) {
  const auto token = [](const char* content) { return OrderedJson{{"content", content}, {"special", true}}; };
  EXPECT_THAT(with_files({{"config", {{"added_tokens_decoder", {{"259", token("<x>")}}}}}}).warnings(), IsEmpty());
  EXPECT_THAT(with_files({{"config", {{"added_tokens_decoder", {{"300", token("<x>")}}}}}}).warnings(),
              ElementsAre(HasSubstr("'<x>' the id 300; it has 259")));
}

TEST(FilesBeside, malformed_ones_are_named) {
  const auto refusal = [](const OrderedJson& c) -> std::string {
    try {
      with_files(c);
      return "accepted";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(refusal({{"config", {{"added_tokens_decoder", {{"x", {{"content", "a"}}}}}}}}),
              HasSubstr("'x' is no id"));
  EXPECT_THAT(refusal({{"config", {{"added_tokens_decoder", {{"7", "a"}}}}}}), HasSubstr("must be an object"));
  EXPECT_THAT(refusal({{"config", {{"added_tokens_decoder", {{"7", {{"content", 1}}}}}}}}),
              HasSubstr("tokenizer_config.json: field 'added_tokens_decoder.7.content'"));
  EXPECT_THAT(refusal({{"added_tokens", {{"<x>", "1"}}}}), HasSubstr("added_tokens.json: field '<x>'"));
  EXPECT_THAT(refusal({{"special_tokens_map", OrderedJson::array({1})}}),
              HasSubstr("special_tokens_map.json must be an object"));
  EXPECT_THAT(refusal({{"config", {{"chat_control_tokens", 1}}}}), HasSubstr("chat_control_tokens"));
}

TEST(AddedTokens, that_are_letters_of_the_byte_alphabet_take_no_byte_from_others) {
  for (const OrderedJson& c : fixture("added_letters")) {
    const Tokenizer tokenizer = Tokenizer::from_json(c["json"].dump(), {}, "t.json");
    for (size_t i = 0; i < c["texts"].size(); ++i)
      EXPECT_EQ(tokenizer.encode(c["texts"][i].get<std::string>()), c["ids"][i].get<Ids>()) << c["texts"][i];
    EXPECT_EQ(tokenizer.decode(tokenizer.encode("中文")), "中文");
  }
}

TEST(AddedTokens, without_an_embedding_are_text_and_said) {
  OrderedJson json = byte_level();
  json["added_tokens"].push_back({{"id", 259}, {"content", "<pad>"}, {"special", true}});
  const Tokenizer whole = Tokenizer::from_json(json.dump(), {R"({"pad_token": "<pad>"})"}, "t.json");
  EXPECT_THAT(whole.encode("<pad>"), ElementsAre(259));
  const Tokenizer cut = Tokenizer::from_json(json.dump(), {R"({"pad_token": "<pad>"})"}, "t.json", 259);
  EXPECT_EQ(cut.vocab_size(), 259u);
  EXPECT_EQ(cut.encode("<pad>").size(), 5u);
  EXPECT_THAT(cut.warnings(), ElementsAre(HasSubstr("'<pad>' has the id 259")));
  EXPECT_THAT(cut.named_tokens(), ElementsAre(std::pair<std::string, std::string>("pad_token", "<pad>")));
}

std::vector<std::string> pieces_of(const std::string& pattern, const std::string& text) {
  const PreTokenizer cutter({{.pattern = pattern}}, "t.json");
  RegexScratch scratch;
  std::vector<std::string> out;
  cutter.split({text}, scratch, [&](std::string_view piece, const Origin*) { out.emplace_back(piece); });
  return out;
}

TEST(SplitPattern, means_what_oniguruma_means_by_it) {
  const OrderedJson& patterns = fixture("patterns");
  ASSERT_GE(patterns["cases"].size(), 100u);
  for (const OrderedJson& c : patterns["cases"]) {
    const auto pattern = c["pattern"].get<std::string>();
    for (size_t i = 0; i < patterns["texts"].size(); ++i) {
      const auto text = patterns["texts"][i].get<std::string>();
      try {
        EXPECT_EQ(pieces_of(pattern, text), c["pieces"][i].get<std::vector<std::string>>())
            << pattern << " on " << text;
      } catch (const Error& error) {
        ADD_FAILURE() << pattern << ": " << error.what();
        break;
      }
    }
  }
}

TEST(SplitPattern, without_a_translation_is_refused) {
  for (const OrderedJson& pattern : fixture("patterns")["refused"])
    EXPECT_THROW(pieces_of(pattern.get<std::string>(), "a"), Error) << pattern;
}

TEST(SplitPattern, of_rust_follows_its_own_rules) {
  const auto pieces = [](const char* pattern, const std::string& text) {
    const PreTokenizer cutter({{.pattern = pattern, .dialect = Dialect::rust}}, "t");
    RegexScratch scratch;
    std::vector<std::string> out;
    cutter.split({text}, scratch, [&](std::string_view piece, const Origin*) { out.emplace_back(piece); });
    return out;
  };
  EXPECT_THAT(pieces(R"(\pL+)", "ab1"), ElementsAre("ab", "1"));
  EXPECT_THAT(pieces(R"(\v)", "a\vb\nc"), ElementsAre("a", "\v", "b\nc"));
  EXPECT_THAT(pieces(R"(x(?i)b|c)", "xB C"), ElementsAre("xB", " ", "C"));
  EXPECT_THAT(pieces(R"(\h+)", "fgz"), ElementsAre("f", "gz"));
  for (const char* pattern : {R"([a-z--b])", R"([a~~b])", R"(\<a)", R"(\b{start}a)", R"(a{,3})", R"(a{)",
                              R"([[:alpha:]])", R"(\Qa)", R"(\R)", R"(a**)", R"((?u)a)", R"(\012)", R"(\q)"})
    EXPECT_THROW(pieces(pattern, "a"), Error) << pattern;
}

// -- GGUF ---------------------------------------------------------------------------------------------------

const OrderedJson& gguf_fixture() {
  static const OrderedJson instance = OrderedJson::parse(std::ifstream(kCaseFolder / "gguf_cases.json"));
  return instance;
}

/// A file of `tokens` (types: normal, apart from the first three) and whatever `keys` add.
template <class Keys>
Tokenizer gguf(const std::vector<std::string>& tokens, const std::vector<int32_t>& types,
               const std::vector<std::string>& merges, size_t count, Keys&& keys) {
  GgufBuilder body;
  body.key("tokenizer.ggml.model", std::string_view("gpt2"));
  body.key("tokenizer.ggml.tokens", tokens)
      .key("tokenizer.ggml.token_type", types)
      .key("tokenizer.ggml.merges", merges);
  keys(body);
  GgufBuilder file;
  file.header(0, 4 + count).raw(body.bytes());
  return gguf_tokenizer(formats::Gguf(file.bytes(), "m.gguf"));
}

TEST(GgufPre, every_name_cuts_as_llama_cpp_does) {
  const OrderedJson& f = gguf_fixture();
  const auto tokens = f["tokens"].get<std::vector<std::string>>(), merges = f["merges"].get<std::vector<std::string>>();
  const auto types = f["types"].get<Ids>();
  ASSERT_GE(f["pre"].size(), 80u);
  for (const auto& pre : f["pre"].items()) {
    const std::string& name = pre.key();
    const Tokenizer tokenizer =
        gguf(tokens, types, merges, 1, [&](GgufBuilder& b) { b.key("tokenizer.ggml.pre", std::string_view(name)); });
    EXPECT_EQ(tokenizer.encode(f["text"].get<std::string>()), pre.value().get<Ids>()) << name;
    EXPECT_EQ(tokenizer.warnings().size(), name == "default" ? 1u : 0u) << name;
  }
}

TEST(GgufPre, names_that_no_pattern_has_are_refused) {
  for (const char* name : {"kimi-k2", "afmoe", "deepseek-llm", "whitespace", "nonsense"}) {
    const auto load = [&] {
      gguf({"a"}, {1}, {}, 1, [&](GgufBuilder& b) { b.key("tokenizer.ggml.pre", std::string_view(name)); });
    };
    EXPECT_THAT(load, testing::ThrowsMessage<Error>(HasSubstr(std::string("the pre-tokenizer '") + name))) << name;
  }
}

TEST(GgufPre, without_one_the_default_rule_holds_and_a_warning_says_so) {
  const OrderedJson& f = gguf_fixture();
  const auto tokens = f["tokens"].get<std::vector<std::string>>(), merges = f["merges"].get<std::vector<std::string>>();
  const Tokenizer tokenizer = gguf(tokens, f["types"].get<Ids>(), merges, 0, [](GgufBuilder&) {});
  EXPECT_EQ(tokenizer.encode(f["text"].get<std::string>()), f["pre"]["default"].get<Ids>());
  EXPECT_THAT(tokenizer.warnings(), ElementsAre(HasSubstr("m.gguf: tokenizer.ggml.pre is missing")));
}

TEST(GgufEnds, are_where_llama_cpp_ends_an_answer) {
  ASSERT_GE(gguf_fixture()["ends"].size(), 14u);
  for (const OrderedJson& c : gguf_fixture()["ends"]) {
    GgufBuilder body;
    body.key("tokenizer.ggml.tokens", c["tokens"].get<std::vector<std::string>>());
    for (const auto& [name, id] : c["ids"].items())
      body.key("tokenizer.ggml." + name + "_token_id", id.get<uint32_t>());
    GgufBuilder file;
    file.header(0, 1 + c["ids"].size()).raw(body.bytes());
    const auto ends = formats::gguf_end_ids(formats::Gguf(file.bytes(), "m.gguf"));
    EXPECT_THAT(ends, testing::UnorderedElementsAreArray(c["want"].get<std::vector<int64_t>>())) << c["tokens"];
    if (c["ids"].contains("eos")) {
      EXPECT_EQ(ends.front(), c["ids"]["eos"].get<int64_t>());
    }
  }
}

TEST(GgufTypes, a_byte_letter_of_another_type_is_still_that_byte) {
  std::vector<std::string> tokens = {"<s>"};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(write_bytes(std::string(1, static_cast<char>(byte))));
  std::vector<int32_t> types(tokens.size(), 1);
  types[0] = 3;
  types[1 + 0xE4] = 4;
  const Tokenizer tokenizer = gguf(tokens, types, {}, 0, [](GgufBuilder&) {});
  EXPECT_THAT(tokenizer.encode("中"), ElementsAre(1 + 0xE4, 1 + 0xB8, 1 + 0xAD));
  EXPECT_THAT(tokenizer.encode("ä"), ElementsAre(1 + 0xE4));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("中")), "中");
}

TEST(GgufTypes, tokens_that_look_like_control_tokens_are_special) {
  const Tokenizer tokenizer = gguf({"<|im_end|>", "a", "<tool>"}, {1, 1, 4}, {}, 0, [](GgufBuilder&) {});
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(2));
  EXPECT_THAT(tokenizer.encode("<|im_end|>a<tool>"), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace ingrain::tokenizer
