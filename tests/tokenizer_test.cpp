// Ids equal to those of PyPI's tokenizers and tiktoken (tests/fixtures/tokenizers), round trips, streaming, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <ctime>
#include <fstream>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/utf8.h"
#include "sanitized.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode16.h"

namespace ingrain::tokenizer {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(INGRAIN_TEST_FIXTURES) / "tokenizers";
constexpr const char* kNames[] = {"gpt2", "smollm", "qwen", "llama", "steps", "small.tiktoken"};

Tokenizer load(const std::string& name) {
  if (name.ends_with(".tiktoken")) return Tokenizer::load_tiktoken(kFolder / name, "cl100k_base");
  return Tokenizer::load(kFolder / (name + ".json"));
}

const nlohmann::json& expected() {
  static const nlohmann::json instance = nlohmann::json::parse(std::ifstream(kFolder / "expected.json"));
  return instance;
}

std::vector<std::string> sample_texts() { return expected()["texts"].get<std::vector<std::string>>(); }

class PublishedTokenizer : public testing::TestWithParam<const char*> {
 protected:
  const Tokenizer tokenizer = load(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Fixture, PublishedTokenizer, testing::ValuesIn(kNames),
                         [](const auto& info) { return std::string(info.param).substr(0, 5); });

TEST_P(PublishedTokenizer, gives_the_ids_of_the_python_packages) {
  const auto texts = sample_texts();
  const auto ids = expected()["ids"][GetParam()].get<std::vector<std::vector<int32_t>>>();
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GE(texts.size(), 90u);
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokenizer.encode(texts[i]), ids[i]) << "text " << i << ": " << texts[i];
}

TEST_P(PublishedTokenizer, decodes_to_the_text_of_the_python_packages) {
  const auto texts = sample_texts();
  const auto decoded = expected()["decoded"][GetParam()].get<std::vector<std::string>>();
  for (size_t i = 0; i < texts.size(); ++i) {
    // tiktoken's own decode keeps special tokens; the fixture encodes them as plain text there.
    const bool ranks = std::string_view(GetParam()).ends_with(".tiktoken");
    const auto ids = tokenizer.encode(texts[i], {.parse_special = !ranks});
    // PyPI's tokenizers passes added tokens through the byte alphabet, which breaks those that are not ASCII.
    if (texts[i].find("caf") != std::string::npos) continue;
    EXPECT_EQ(tokenizer.decode(ids, true), decoded[i]) << "text " << i;
  }
}

TEST_P(PublishedTokenizer, streams_any_ids_to_the_text_that_decode_gives) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<int32_t> ids(random() % 40);
    for (auto& id : ids) id = static_cast<int32_t>(random() % 300);
    StreamDecoder stream(tokenizer);
    std::string text;
    for (const int32_t id : ids) {
      const std::string part = stream.push(id);
      EXPECT_EQ(valid_utf8_length(part, 0), part.size()) << "half a character came out";
      text += part;
    }
    text += stream.finish();
    EXPECT_EQ(text, tokenizer.decode(ids));
    EXPECT_EQ(stream.finish(), "");
  }
}

std::string random_bytes(std::mt19937& random) {
  std::string out;
  for (size_t i = random() % 60; i > 0; --i) {
    switch (random() % 4) {
      case 0: out += static_cast<char>(random()); break;
      case 1: out += "a \n1"[random() % 4]; break;
      case 2: utf8_append(out, 0x4E00 + random() % 100); break;
      default: out += "\xED\xA0\x80\xC0\x80\xF5\xF4\x90\xE4\xBD"[random() % 10];
    }
  }
  return out;
}

TEST(Tokenizer, keeps_any_bytes_exactly) {
  std::mt19937 random(11);
  for (const char* name : {"smollm", "llama", "small.tiktoken"}) {
    const Tokenizer tokenizer = load(name);
    for (int round = 0; round < 2000; ++round) {
      const std::string bytes = random_bytes(random);
      EXPECT_EQ(tokenizer.decode_bytes(tokenizer.encode(bytes)), bytes);
    }
  }
}

TEST(Tokenizer, encodes_text_beside_invalid_bytes_as_if_it_stood_alone) {
  const Tokenizer tokenizer = load("smollm");
  std::vector<int32_t> apart = tokenizer.encode("Emma ");
  for (const std::string_view part : {"\xFF", " was rich"}) {
    const auto ids = tokenizer.encode(part);
    apart.insert(apart.end(), ids.begin(), ids.end());
  }
  EXPECT_EQ(tokenizer.encode("Emma \xFF was rich"), apart);
  EXPECT_EQ(tokenizer.decode(apart), "Emma \xEF\xBF\xBD was rich");
}

TEST(Tokenizer, puts_the_template_around_the_text_only_when_asked) {
  const Tokenizer tokenizer = load("llama");
  const auto ids = expected()["with_template"]["llama"].get<std::vector<int32_t>>();
  EXPECT_EQ(tokenizer.encode("Hello", {.add_special_tokens = true}), ids);
  EXPECT_EQ(tokenizer.encode("Hello"), std::vector<int32_t>(ids.begin() + 1, ids.end() - 1));
  EXPECT_EQ(tokenizer.bos(), tokenizer.token_to_id("<|bos|>"));
  EXPECT_EQ(tokenizer.eos(), tokenizer.token_to_id("<|endoftext|>"));
}

TEST(Tokenizer, never_gives_a_special_id_for_plain_text) {
  const std::string text = "a<|im_start|>user <mask> <|endoftext|>";
  for (const char* name : kNames) {
    const Tokenizer tokenizer = load(name);
    const auto ids = tokenizer.encode(text, {.parse_special = false});
    EXPECT_TRUE(std::none_of(ids.begin(), ids.end(), [&](int32_t id) { return tokenizer.is_special(id); })) << name;
  }
  EXPECT_EQ(load("qwen").decode(load("qwen").encode(text, {.parse_special = false}), true), text);
  EXPECT_EQ(load("qwen").decode(load("qwen").encode(text), true), "a ");
}

TEST(Tokenizer, maps_tokens_to_ids_and_back) {
  const Tokenizer tokenizer = load("smollm");
  const auto the = tokenizer.token_to_id("Ġthe");
  ASSERT_TRUE(the);
  EXPECT_EQ(tokenizer.id_to_bytes(*the), " the");
  EXPECT_EQ(tokenizer.id_to_bytes(-1), "");
  EXPECT_EQ(tokenizer.id_to_bytes(1 << 30), "");
  EXPECT_EQ(tokenizer.vocab_size(), 501u);
  EXPECT_FALSE(tokenizer.token_to_id("no such token"));
  for (int32_t id = 0; id < 500; ++id) EXPECT_EQ(tokenizer.token_to_id(write_bytes(tokenizer.id_to_bytes(id))), id);
}

TEST(Tokenizer, needs_time_linear_in_hostile_texts) {
  const size_t size = test::kSanitized ? 1 << 16 : 1 << 20;
  for (const char* name : kNames) {
    const Tokenizer tokenizer = load(name);
    for (const std::string unit : {"a", " ", "1", "é", "A", "\n", "<", " \n", "\xFF", "'s"}) {
      std::string text;
      while (text.size() < size) text += unit;
      const std::clock_t start = std::clock();  // the processor's time, so that a busy machine changes nothing
      EXPECT_FALSE(tokenizer.encode(text).empty());
      // A quadratic step would take an hour, or a quarter of a minute of the shorter text under sanitizers.
      EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, test::kSanitized ? 5 : 20)
          << name << ", a run of " << unit;
    }
  }
}

TEST(Tokenizer, gives_the_same_ids_from_many_threads) {
  const Tokenizer tokenizer = load("qwen");
  const auto texts = sample_texts();
  const auto ids = expected()["ids"]["qwen"].get<std::vector<std::vector<int32_t>>>();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, copy = tokenizer] {
      for (int round = 0; round < 5; ++round)
        for (size_t i = 0; i < texts.size(); ++i) wrong += copy.encode(texts[i]) != ids[i];
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Tokenizer, is_the_same_from_plain_data_as_from_json) {
  const auto json = nlohmann::json::parse(std::ifstream(kFolder / "smollm.json"));
  TokenizerSpec spec;
  spec.source = "test";
  spec.tokens.resize(500);
  for (const auto& [token, id] : json["model"]["vocab"].items()) spec.tokens[id.get<size_t>()] = token;
  for (const auto& merge : json["model"]["merges"]) spec.merges.emplace_back(merge[0], merge[1]);
  spec.pre_tokenizer = named_pre_tokenizer("smollm", "test");
  spec.added_tokens = {{.id = 500, .content = "<|endoftext|>", .special = true}};
  const Tokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer.fingerprint(), Tokenizer(spec).fingerprint());
  std::swap(spec.merges[3], spec.merges[4]);
  EXPECT_NE(tokenizer.fingerprint(), Tokenizer(spec).fingerprint());
  const auto ids = expected()["ids"]["smollm"].get<std::vector<std::vector<int32_t>>>();
  const auto texts = sample_texts();
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(tokenizer.encode(texts[i]), ids[i]) << texts[i];
}

TEST(StandIns, leave_old_text_alone_and_keep_every_offset) {
  EXPECT_FALSE(with_stand_ins("Emma, 日本語 é \U0001F469"));
  const std::string text = "a\u1C89\U00031350z";
  const auto shape = with_stand_ins(text);
  ASSERT_TRUE(shape);
  EXPECT_EQ(*shape, "a\u1E00\U00020000z");
  EXPECT_EQ(*with_stand_ins("\u180E"), "\u200B");
}

}  // namespace
}  // namespace ingrain::tokenizer
