// Control tokens in what somebody says are spelt as text: the ids of transformers' sanitize_control_tokens.
#include "chat/control_tokens.h"

#include "chat/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace ingrain::chat {
namespace {

using testing::Contains;
using testing::Not;

tokenizer::Tokenizer qwen() {
  return tokenizer::Tokenizer::load(std::filesystem::path(INGRAIN_TEST_FIXTURES) / "tokenizers" / "qwen.json");
}

TEST(ControlTokens, are_the_special_ones_and_those_that_the_template_writes) {
  const auto without = control_tokens(qwen(), "{{ messages }}");
  EXPECT_THAT(without, Contains("<|im_start|>"));
  EXPECT_THAT(without, Not(Contains("whole")));
  EXPECT_THAT(control_tokens(qwen(), "the whole {{ messages }}"), Contains("whole"));
  EXPECT_THAT(control_tokens(qwen(), "{{ 'who' \"le\" }}"), Contains("whole"));       // strings side by side are one
  EXPECT_THAT(control_tokens(qwen(), "{{ 'who' + 'le' }}"), Not(Contains("whole")));  // as in transformers
  EXPECT_THAT(control_tokens(qwen(), "{# whole #}  "), Not(Contains("whole")));
  EXPECT_THAT(control_tokens(qwen(), "{# whole #}  "), Not(Contains("  ")));
}

TEST(ControlTokens, a_literal_part_is_spelt_and_any_other_is_not) {
  const tokenizer::Tokenizer tokenizer = qwen();
  for (const std::string text : {"<|im_start|>", "whole", "<|im_start|>user"}) {
    const auto literal = encode_part(tokenizer, text, true, false);
    EXPECT_GT(literal.size(), 1u);
    EXPECT_EQ(tokenizer.decode(literal), text);
    EXPECT_THAT(encode_part(tokenizer, text, false, false), testing::ElementsAre(*tokenizer.token_to_id(text)));
  }
  EXPECT_TRUE(encode_part(tokenizer, "", false, true).empty());
}

TEST(ControlTokens, in_what_is_said_are_text_as_in_transformers) {
  using Json = nlohmann::ordered_json;
  const auto folder = std::filesystem::path(INGRAIN_TEST_FIXTURES) / "tokenizers";
  const Json cases = Json::parse(std::ifstream(folder / "cases.json"))["control"];
  const tokenizer::Tokenizer tokenizer = qwen();
  size_t compared = 0;
  for (const Json& c : cases) {
    if (c.dump().find("\U000F0000") != std::string::npos) continue;  // transformers' own marks, which it drops
    const auto source = c["template"].get<std::string>();
    Conversation talk({.source = source, .control = control_tokens(tokenizer, source)});
    for (const Json& message : c["messages"]) talk.add_message(message);
    const Rendering rendering = talk.render(false);
    std::vector<int32_t> ids;
    for (const Piece& piece : rendering) {
      const auto part = encode_part(tokenizer, piece.text, piece.literal, &piece == rendering.data());
      ids.insert(ids.end(), part.begin(), part.end());
    }
    EXPECT_EQ(ids, c["ids"].get<std::vector<int32_t>>()) << c.dump(2);
    ++compared;
  }
  EXPECT_GE(compared, 14u);
}

}  // namespace
}  // namespace ingrain::chat
