// Hostile and mistaken tokenizer files: every one is refused with file and field, or works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "tokenizer/tokenizer.h"

namespace ingrain::tokenizer {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

Json small() {
  return Json::parse(R"({
    "added_tokens": [{"id": 3, "content": "<s>", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

std::string refusal(const std::string& json) {
  try {
    Tokenizer::from_json(json, {}, "t.json");
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string refusal(const std::function<void(Json&)>& change) {
  Json json = small();
  change(json);
  return refusal(json.dump());
}

TEST(TokenizerFile, small_one_works_and_bytes_without_a_token_are_left_out) {
  const Tokenizer tokenizer = Tokenizer::from_json(small().dump(), {}, "t.json");
  EXPECT_EQ(tokenizer.encode("ab<s>bca"), (std::vector<int32_t>{2, 3, 1, 0}));
  EXPECT_EQ(tokenizer.bos(), 3);
}

TEST(TokenizerFile, every_truncation_is_refused) {
  const std::string text = small().dump();
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_THAT(refusal(text.substr(0, length)), HasSubstr("t.json")) << length;
}

TEST(TokenizerFile, every_missing_or_mistyped_field_is_named) {
  EXPECT_THAT(refusal([&](Json& j) { j.erase("model"); }), HasSubstr("t.json: field 'model'"));
  for (const char* key : {"vocab", "merges"}) {
    EXPECT_THAT(refusal([&](Json& j) { j["model"].erase(key); }), AllOf(HasSubstr(key), HasSubstr("missing")));
    EXPECT_THAT(refusal([&](Json& j) { j["model"][key] = 7; }), AllOf(HasSubstr(key), HasSubstr("must be")));
  }
  for (const Json& wrong : {Json(1.5), Json("x"), Json(true), Json::array(), Json::object()}) {
    EXPECT_THAT(refusal([&](Json& j) { j["model"]["vocab"]["a"] = wrong; }), HasSubstr("'model.vocab.a'"));
    EXPECT_THAT(refusal([&](Json& j) { j["added_tokens"][0]["id"] = wrong; }), HasSubstr("'added_tokens[0].id'"));
    EXPECT_THAT(refusal([&](Json& j) { j["model"] = wrong; }), HasSubstr("field 'model"));
    EXPECT_THAT(refusal([&](Json& j) { j["pre_tokenizer"] = wrong; }), HasSubstr("field 'pre_tokenizer"));
  }
  EXPECT_THAT(refusal([](Json& j) { j["model"]["ignore_merges"] = "yes"; }), HasSubstr("ignore_merges"));
  EXPECT_THAT(refusal("[]"), HasSubstr("t.json"));
}

TEST(TokenizerFile, ids_out_of_range_or_used_twice_are_refused) {
  for (const Json& id : {Json(-1), Json(1 << 21), Json(INT64_MAX), Json(UINT64_MAX), Json(1e300)}) {
    EXPECT_THAT(refusal([&](Json& j) { j["model"]["vocab"]["a"] = id; }), HasSubstr("'model.vocab.a'"));
    EXPECT_THAT(refusal([&](Json& j) { j["added_tokens"][0]["id"] = id; }), HasSubstr("'added_tokens[0].id'"));
  }
  EXPECT_THAT(refusal([](Json& j) { j["model"]["vocab"]["a"] = 1; }), HasSubstr("the same id 1"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"][0]["id"] = 2; }), HasSubstr("are both 2"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"][0]["content"] = "ab"; }), HasSubstr("the vocabulary says 2"));
  EXPECT_THAT(refusal([](Json& j) { j["added_tokens"][0]["content"] = ""; }), HasSubstr("empty"));
}

TEST(TokenizerFile, merges_of_unknown_tokens_are_refused) {
  for (const char* merge : {"a c", "c a", "b a", "ab", "a  b", ""})
    EXPECT_THAT(refusal([&](Json& j) { j["model"]["merges"] = {merge}; }), HasSubstr("merges")) << merge;
  EXPECT_THAT(refusal([](Json& j) { j["model"]["merges"] = {{"a", "b", "c"}}; }), HasSubstr("'model.merges[0]'"));
  EXPECT_EQ(refusal([](Json& j) { j["model"]["merges"] = Json::array({Json::array({"a", "b"})}); }), "accepted");
}

TEST(TokenizerFile, what_is_not_supported_is_refused_by_name) {
  EXPECT_THAT(refusal([](Json& j) { j["model"]["type"] = "WordPiece"; }), HasSubstr("WordPiece"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["type"] = "WordLevel"; }), HasSubstr("WordLevel"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["byte_fallback"] = true; }), HasSubstr("byte_fallback"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(refusal([](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(refusal([](Json& j) { j["pre_tokenizer"]["type"] = "BertPreTokenizer"; }), HasSubstr("BertPreTokenizer"));
  EXPECT_THAT(refusal([](Json& j) { j["normalizer"]["type"] = "BertNormalizer"; }), HasSubstr("BertNormalizer"));
  EXPECT_THAT(refusal([](Json& j) { j["decoder"]["type"] = "WordPiece"; }), HasSubstr("WordPiece"));
  EXPECT_THAT(refusal([](Json& j) { j["decoder"] = {{"type", "Fuse"}}; }), HasSubstr("beside a ByteLevel"));
}

Json sequence_of(int depth, const char* list) {
  Json inner = {{"type", "ByteLevel"}};
  for (int i = 0; i < depth; ++i) inner = {{"type", "Sequence"}, {list, Json::array({inner})}};
  return inner;
}

TEST(TokenizerFile, deep_nesting_is_refused) {
  EXPECT_EQ(refusal([](Json& j) { j["pre_tokenizer"] = sequence_of(7, "pretokenizers"); }), "accepted");
  EXPECT_THAT(refusal([](Json& j) { j["pre_tokenizer"] = sequence_of(9, "pretokenizers"); }), HasSubstr("nested"));
  EXPECT_THAT(refusal([](Json& j) { j["decoder"] = sequence_of(20, "decoders"); }), HasSubstr("nested"));
  EXPECT_THAT(refusal([](Json& j) { j["post_processor"] = sequence_of(20, "processors"); }), HasSubstr("nested"));
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("t.json"));
}

std::string split_refusal(const std::string& pattern, const std::string& text = "") {
  Json json = small();
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {split, {{"type", "ByteLevel"}, {"use_regex", false}}}}};
  try {
    Tokenizer::from_json(json.dump(), {}, "t.json").encode(text);
    return "accepted";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(TokenizerFile, bad_and_endless_patterns_are_refused) {
  for (const char* pattern :
       {"(", "[a", "a{2,1}", "\\p{Nonsense}", "(*UTF)a", "\\C", "[a[b]]", "[a&&b]", "(?<=a+)b", "\\X"})
    EXPECT_THAT(split_refusal(pattern), HasSubstr("t.json: field 'pre_tokenizer'")) << pattern;
  EXPECT_THAT(split_refusal(std::string(1000, '(') + std::string(1000, ')')), HasSubstr("parentheses"));
  EXPECT_THAT(split_refusal(std::string(100'000, 'a')), HasSubstr("at most"));
  EXPECT_THAT(split_refusal("(a+)+$", std::string(200, 'a') + "b"), HasSubstr("limit"));
  EXPECT_THAT(split_refusal("(?=ab\\K)", "ab"), HasSubstr("\\K"));
  EXPECT_EQ(split_refusal("(?:a|b)*", std::string(1 << 16, 'a')), "accepted");
  EXPECT_EQ(split_refusal("", "ab"), "accepted");
}

TEST(TokenizerFile, hostile_names_are_made_safe_to_print) {
  const std::string text = refusal([](Json& j) { j["model"]["vocab"]["\x1b[31m" + std::string(5000, 'x')] = -1; });
  EXPECT_EQ(text.find('\x1b'), text.npos);
  EXPECT_LT(text.size(), 400u);
}

TEST(TiktokenFile, malformed_lines_are_named_by_number) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "bad.tiktoken";
  const auto attempt = [&](const std::string& text, const char* name = "gpt2") -> std::string {
    write_file(path, text);
    try {
      Tokenizer::load_tiktoken(path, name);
      return "accepted";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(attempt("YQ== 0\nYg==\n"), AllOf(HasSubstr("bad.tiktoken"), HasSubstr("line 2")));
  EXPECT_THAT(attempt("Y!== 0\n"), HasSubstr("base64"));
  EXPECT_THAT(attempt("YQ== -1\n"), HasSubstr("rank"));
  EXPECT_THAT(attempt("YQ== 99999999999\n"), HasSubstr("rank"));
  EXPECT_THAT(attempt("YQ== 0\nYg== 0\n"), HasSubstr("twice"));
  EXPECT_THAT(attempt("YQ== 0\nYQ== 1\n"), HasSubstr("two ids"));
  EXPECT_THAT(attempt("YQ== 0\n"), HasSubstr("no token for the byte"));
  EXPECT_THAT(attempt("YQ== 0\n", "nonsense"), HasSubstr("o200k_base"));
  EXPECT_THAT(attempt(""), HasSubstr("bad.tiktoken"));
}

TEST(TokenizerFile, missing_file_is_named) { EXPECT_THROW(Tokenizer::load("/nonexistent/tokenizer.json"), Error); }

}  // namespace
}  // namespace ingrain::tokenizer
