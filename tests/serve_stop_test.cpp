// Stop strings of several tokens, and such as begin within one: what completes one is in no conversation, and the next
// turn reads what is new.
#include "api/parts.h"
#include "serve_engine.h"
#include "session/text_writer.h"

#include <gmock/gmock.h>

namespace ingrain::serve {
namespace {

/// Writes nothing but the letters a to d, one or two a token.
class StoppedServing : public ServingTest {
 protected:
  static constexpr int64_t kBytes = 257;

  void SetUp() override {
    ServingTest::SetUp();
    Json file = Json::parse(read_file(dir_ / "model/tokenizer.json", 1 << 20));
    for (int32_t pair = 0; pair < 16; ++pair) {
      const std::string a(1, static_cast<char>('a' + pair / 4)), b(1, static_cast<char>('a' + pair % 4));
      file["model"]["vocab"][a + b] = kBytes + pair;
      file["model"]["merges"].push_back(a + ' ' + b);
    }
    ModelConfig c = test::tiny_config({.window = 12, .chunk = 16});
    c.vocab_size = kBytes + 16;
    c.bos_id = 0;
    c.eos_ids = {0};
    save_model(dir_ / "model", c, initial_weights(c, 5), at::kFloat);
    write_file(dir_ / "model/tokenizer.json", file.dump());
  }

  static Writing letters(uint64_t seed, int64_t tokens) {
    Writing out;
    out.sampling.seed = seed;
    out.max_tokens = tokens;
    for (int32_t id = 0; id < kBytes; ++id)
      if (id - 1 < 'a' || id - 1 > 'd') out.sampling.logit_bias[id] = -std::numeric_limits<double>::infinity();
    return out;
  }

  /// The lengths of the tokens of an answer, in the order in which they were written.
  static std::pair<Outcome, std::vector<size_t>> run(Engine& e, const Prompt& prompt, Writing how) {
    how.top_logprobs = 0;
    std::vector<size_t> bytes;
    Outcome out = e.run(prompt, how, [&](const Event& event) {
      for (const WrittenToken& token : event.tokens) bytes.push_back(token.token.bytes.size());
      return true;
    });
    return {std::move(out), std::move(bytes)};
  }
};

TEST_F(StoppedServing, the_memory_is_that_of_before_the_stop_string_to_the_last_bit_and_nothing_is_read_again) {
  const auto e = engine();
  int within = 0, several = 0, replayed = 0;
  for (uint64_t seed = 0; seed < 18; ++seed) {
    const Json messages = Json::array({message("user", "say it " + std::to_string(seed))});
    const auto [whole, bytes] = run(*e, prompt(messages, "whole"), letters(seed, 24));
    const std::string& text = whole.choices[0].text;
    const size_t length = 1 + seed % 5, at = text.find(text.substr(6 + seed % 11, length));
    Writing how = letters(seed, 24);
    how.stop = {text.substr(at, length)};
    size_t kept = 0, end = 0;  // tokens wholly before the cut, and their bytes
    while (end + bytes[kept] <= at) end += bytes[kept++];
    const Outcome out = e->run(prompt(messages), how);
    EXPECT_EQ(out.choices[0].reason, StopReason::stop_string);
    EXPECT_EQ(out.choices[0].text, text.substr(0, at));
    EXPECT_EQ(out.position, out.prompt_tokens + static_cast<int64_t>(kept)) << seed;
    within += end < at;
    several += static_cast<size_t>(out.choices[0].tokens) > kept + 1;
    replayed += text.substr(0, at).find(how.stop[0][0], at > 3 ? at - 3 : 0) != std::string::npos;
    if (kept == 0) continue;

    const Outcome cut = e->run(prompt(messages, "cut"), letters(seed, static_cast<int64_t>(kept)));
    const auto file_of = [&](const Owner& owner, const Outcome& answered) {
      e->download(owner, answered.choices[0].state, dir_ / "state");
      return read_file(dir_ / "state", 1 << 20);
    };
    EXPECT_EQ(file_of("", out), file_of("cut", cut)) << seed;
    const auto go_on = [&](const Owner& owner) {
      return run(*e, prompt(next(messages, text.substr(0, at), "what then?"), owner), letters(seed, 9)).first;
    };
    const Outcome after_stop = go_on(""), after_cut = go_on("cut");
    EXPECT_EQ(after_stop.miss.empty(), end == at) << "the rest of a token that a stop string begins within is read";
    EXPECT_EQ(after_stop.cached_tokens, out.position) << seed;
    EXPECT_EQ(after_stop.cached_tokens, after_cut.cached_tokens);
    EXPECT_EQ(after_stop.choices[0].text, after_cut.choices[0].text) << seed;
    EXPECT_EQ(after_stop.position, after_cut.position);
  }
  EXPECT_GT(within, 2);
  EXPECT_GT(several, 5);
  EXPECT_GT(replayed, 2);
}

TEST_F(StoppedServing, a_text_is_given_by_whole_tokens_and_waits_where_a_stop_string_may_begin) {
  const Model with = model();
  const auto& tokenizer = with.parts().tokenizer();
  const auto check = [&](const std::vector<std::string>& stops, const std::vector<std::string>& tokens,
                         const std::vector<size_t>& given, const std::string& waits) {
    GenerateOptions how;
    how.stop = stops;
    how.max_tokens = 99;
    session::TextWriter writer(with.parts().network.config, tokenizer, how);
    std::vector<float> logits(kBytes + 16);
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto id = *tokenizer.token_to_id(tokens[i]);
      std::fill(logits.begin(), logits.end(), 0.f);
      logits[static_cast<size_t>(id)] = 1e6f;
      writer.take(writer.draw(logits));
      EXPECT_EQ(writer.given(), given[i]) << i;
      EXPECT_TRUE(writer.done() || writer.may_stop() == (waits[i] == 'w')) << i;
    }
  };
  check({"bcd"}, {"a", "ab", "ca", "ab", "cd"}, {1, 1, 3, 3, 3}, ".w.w.");
  check({"aad"}, {"a", "a", "a", "a", "d"}, {0, 0, 1, 2, 2}, "wwwww");
  // In a byte-level vocabulary these spell the bytes of characters of several: e2 80 a6 is U+2026.
  const std::vector<std::string> dots{"\u00e2", "\u0122", "\u00a6"};
  check({"x"}, {"a", dots[0], dots[1], dots[2], "b"}, {1, 1, 1, 4, 5}, ".....");
  check({"\u2026b"}, {"a", dots[0], dots[1], dots[2], "b"}, {1, 1, 1, 1, 1}, ".www.");
}

}  // namespace
}  // namespace ingrain::serve
