// A model without a chat template: whatever it writes (half characters, no blank after "Answer:", its end at once), the
// next turn reads what is new, and usage is the memory's position.
#include "serve_engine.h"

#include <gmock/gmock.h>

namespace ingrain::serve {
namespace {

class PlainServing : public ServingTest {
 protected:
  void SetUp() override {
    ServingTest::SetUp();
    std::filesystem::remove(dir_ / "model/chat_template.jinja");
  }
  static Writing seeded(uint64_t seed, int64_t tokens) {
    Writing out;
    out.sampling.seed = seed;
    out.max_tokens = tokens;
    return out;
  }
  /// What the memory has of an answer: what ends it is in no conversation, be it a token or the two of a blank line.
  static int64_t kept(const Choice& choice) {
    if (choice.reason == StopReason::max_tokens) return choice.tokens;
    return choice.tokens - (choice.reason == StopReason::stop_string ? 2 : 1);
  }
  static void expect_accounted(const Outcome& out) {
    EXPECT_EQ(out.position, out.prompt_tokens + kept(out.choices[0]));
  }
  static constexpr int64_t kQuestion = 29;  // tokens, one a byte, of "\n\nQuestion: and then?\nAnswer:"
};

TEST_F(PlainServing, every_answer_is_gone_on_from_without_a_token_read_again) {
  const auto e = engine();
  int without_blank = 0, ended = 0, cut = 0;
  for (uint64_t seed = 0; seed < 80; ++seed) {
    const auto tokens = static_cast<int64_t>(1 + seed % 4);
    Json chat = Json::array({message("user", "who is it? " + std::to_string(seed))}), responses = chat;
    for (int turn = 0; turn < 3; ++turn) {
      const Outcome one = e->run(prompt(chat, "chat"), seeded(seed + 1000 * turn, tokens));
      const Outcome other = e->run(prompt(responses, "responses"), seeded(seed + 1000 * turn, tokens));
      expect_accounted(one);
      expect_accounted(other);
      EXPECT_EQ(one.choices[0].text, other.choices[0].text);
      const Choice& choice = one.choices[0];
      if (turn > 0) {
        EXPECT_EQ(one.prompt_tokens - one.cached_tokens, kQuestion) << seed << ' ' << turn;
        EXPECT_EQ(other.prompt_tokens - other.cached_tokens, kQuestion) << seed << ' ' << turn;
        EXPECT_EQ(one.miss + other.miss, "");
      }
      without_blank += !choice.text.empty() && choice.text[0] != ' ' && choice.text[0] != '\n';
      ended += choice.reason == StopReason::end_of_text;
      cut += choice.text.find("\xEF\xBF\xBD") != std::string::npos;
      chat = next(chat, choice.text, "and then?");
      Json answer = message("assistant", choice.text);
      answer[kAnswerMember] = other.choices[0].message;
      responses.push_back(answer);
      responses.push_back(message("user", "and then?"));
    }
  }
  EXPECT_GT(without_blank, 60);
  EXPECT_GT(ended, 0);
  EXPECT_GT(cut, 5);
}

TEST_F(PlainServing, an_answer_after_what_is_known_equals_the_one_without) {
  const auto warm = engine();
  Json messages = Json::array({message("user", "who came in last night")});
  for (int turn = 0; turn < 4; ++turn) {
    const Writing how = writing(12);  // letters alone: no blank before the answer
    const Outcome known = warm->run(prompt(messages), how);
    const Outcome fresh = engine()->run(prompt(messages), how);
    EXPECT_EQ(fresh.cached_tokens, 0);
    EXPECT_EQ(known.choices[0].text, fresh.choices[0].text) << turn;
    EXPECT_EQ(known.position, fresh.position);
    Json answer = message("assistant", known.choices[0].text);
    answer[kAnswerMember] = known.choices[0].message;
    messages.push_back(answer);
    messages.push_back(message("user", "what did they say"));
  }
}

TEST_F(PlainServing, an_end_that_the_model_wrote_is_counted_and_not_kept) {
  const auto e = engine();
  Writing how = writing(9);
  how.sampling.logit_bias = {{0, 100}};  // the end, at once
  const Json messages = Json::array({message("user", "who?")});
  const Outcome out = e->run(prompt(messages), how);
  EXPECT_EQ(out.choices[0].reason, StopReason::end_of_text);
  EXPECT_EQ(out.choices[0].tokens, 1);
  EXPECT_EQ(out.position, out.prompt_tokens);
  Prompt text;
  text.text = "once upon a time";
  const Outcome completion = e->run(text, how);
  EXPECT_EQ(completion.position, completion.prompt_tokens);
}

TEST_F(ServingTest, a_stop_string_of_one_token_is_not_kept_and_its_answer_not_read_again) {
  const auto e = engine();
  Json messages = Json::array({message("user", "hello there")});
  const std::string whole = e->run(prompt(messages, "twin"), writing(12)).choices[0].text;
  Writing how = writing(12);
  const size_t at = whole.find(whole[6]);
  how.stop = {whole.substr(at, 1)};
  const Outcome out = e->run(prompt(messages), how);
  EXPECT_EQ(out.choices[0].reason, StopReason::stop_string);
  EXPECT_EQ(out.choices[0].text, whole.substr(0, at));
  EXPECT_EQ(out.choices[0].tokens, static_cast<int64_t>(at) + 1);
  EXPECT_EQ(out.position, out.prompt_tokens + static_cast<int64_t>(at));
  const Outcome again = e->run(prompt(next(messages, out.choices[0].text, "and then?")), writing(1));
  EXPECT_EQ(again.prompt_tokens - again.cached_tokens, 28);  // "|<user>and then?|<assistant>"
  EXPECT_EQ(again.miss, "");
}

}  // namespace
}  // namespace ingrain::serve
