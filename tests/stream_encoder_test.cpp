#include "tokenizer/stream_encoder.h"

#include "base/files.h"

#include <gtest/gtest.h>

#include <random>

namespace ingrain::tokenizer {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(INGRAIN_TEST_FIXTURES) / "tokenizers";

constexpr std::string_view kText =
    "Emma Woodhouse, handsome, clever, and rich, with a comfortable home\nand happy disposition; it's 1816 "
    "\xE2\x80\x94 na\xC3\xAFve  "
    "caf\xC3\xA9s, <|endoftext|> x = f(a, b) \t// I'll do 12 345 things   at   once.\r\n\r\nThe end of the sto\xE6ry";

std::vector<int32_t> encode_in_parts(const Tokenizer& tokenizer, std::string_view text, std::mt19937& random,
                                     size_t longest, EncodeOptions options = {}) {
  StreamEncoder encoder(tokenizer, options);
  std::vector<int32_t> out;
  const auto add = [&](const std::vector<int32_t>& ids) { out.insert(out.end(), ids.begin(), ids.end()); };
  while (!text.empty()) {
    const size_t count = std::min<size_t>(text.size(), 1 + random() % longest);
    add(encoder.push(text.substr(0, count)));
    text.remove_prefix(count);
  }
  add(encoder.finish());
  EXPECT_FALSE(encoder.waiting());
  return out;
}

TEST(StreamEncoder, any_split_of_a_text_gives_its_tokens) {
  std::mt19937 random(7);
  for (const char* name : {"gpt2.json", "llama.json", "qwen.json", "smollm.json", "steps.json"}) {
    const Tokenizer tokenizer = Tokenizer::load(kFixtures / name);
    const std::vector<int32_t> whole = tokenizer.encode(kText);
    for (const size_t longest : {1, 2, 5, 30, 1000})
      for (int i = 0; i < 20; ++i)
        EXPECT_EQ(encode_in_parts(tokenizer, kText, random, longest), whole) << name << ", parts up to " << longest;
  }
}

TEST(StreamEncoder, special_tokens_are_text_where_they_are_not_asked_for) {
  std::mt19937 random(7);
  const Tokenizer tokenizer = Tokenizer::load(kFixtures / "qwen.json");
  const std::string_view text = "one two <|im_start|>user of the<|endoftext|> one more";
  const EncodeOptions plain{.parse_special = false};
  const std::vector<int32_t> whole = tokenizer.encode(text, plain);
  EXPECT_EQ(tokenizer.decode(whole, /*skip_special=*/true), text);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(encode_in_parts(tokenizer, text, random, 9, plain), whole);
}

TEST(StreamEncoder, words_are_given_out_before_the_text_ends) {
  StreamEncoder encoder(Tokenizer::load(kFixtures / "gpt2.json"));
  EXPECT_FALSE(encoder.push("one two three").empty());
  EXPECT_TRUE(encoder.waiting());
}

TEST(StreamEncoder, nothing_gives_nothing) {
  StreamEncoder encoder(Tokenizer::load(kFixtures / "gpt2.json"));
  EXPECT_TRUE(encoder.push("").empty());
  EXPECT_TRUE(encoder.finish().empty());
}

}  // namespace
}  // namespace ingrain::tokenizer
