// Control tokens in what somebody says are spelt as text: the ids of transformers' sanitize_control_tokens.
#include "chat/control_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ingrain::chat
