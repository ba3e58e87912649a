#include "session/sampler.h"

#include "scratch.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace ingrain::session {
namespace {

std::vector<int32_t> draw(const SamplingOptions& options, const std::vector<float>& logits, int n) {
  Sampler sampler(options);
  std::vector<int32_t> out;
  for (int i = 0; i < n; ++i) out.push_back(sampler.sample(logits));
  return out;
}

std::set<int32_t> drawn(const SamplingOptions& options, const std::vector<float>& logits) {
  const auto ids = draw(options, logits, 3000);
  return {ids.begin(), ids.end()};
}

/// Logits of the given probabilities.
std::vector<float> logits_of(const std::vector<double>& p) {
  std::vector<float> out;
  for (const double x : p) out.push_back(static_cast<float>(std::log(x)));
  return out;
}

using Ids = std::set<int32_t>;

TEST(Sampler, the_same_seed_gives_the_same_tokens_and_another_seed_others) {
  const std::vector<float> logits(50, 0.0f);
  SamplingOptions a, b;
  b.seed = 1;
  EXPECT_EQ(draw(a, logits, 100), draw(a, logits, 100));
  EXPECT_NE(draw(a, logits, 100), draw(b, logits, 100));
}

TEST(Sampler, the_generator_is_the_one_that_is_documented) {
  SamplingOptions o;
  o.seed = 42;
  data::SplitMix64 random(42);
  for (const int32_t id : draw(o, std::vector<float>(10, 0.0f), 50)) {
    const double u = static_cast<double>(random.next() >> 11) * 0x1p-53;
    EXPECT_EQ(id, static_cast<int32_t>(u * 10));
  }
}

TEST(Sampler, frequencies_follow_the_probabilities) {
  const auto ids = draw({}, logits_of({0.1, 0.6, 0.3}), 30000);
  const double share[] = {0.1, 0.6, 0.3};
  for (int32_t id = 0; id < 3; ++id)
    EXPECT_NEAR(static_cast<double>(std::count(ids.begin(), ids.end(), id)) / 30000, share[id], 0.015);
}

TEST(Sampler, temperature_zero_takes_the_likeliest_and_the_lowest_id_of_equals) {
  SamplingOptions o;
  o.temperature = 0;
  EXPECT_EQ(drawn(o, {1, 3, 2}), (Ids{1}));
  EXPECT_EQ(drawn(o, {1, 3, 3}), (Ids{1}));
}

TEST(Sampler, temperature_zero_finds_the_likeliest_wherever_it_is) {
  SamplingOptions options;
  options.temperature = 0;
  for (size_t i = 0; i < 40; ++i) {
    std::vector<float> logits(40, -3);
    logits[i] = -2;
    EXPECT_EQ(Sampler(options).sample(logits), static_cast<int32_t>(i));
    options.logit_bias = {{static_cast<int32_t>(i), -2}, {static_cast<int32_t>((i + 1) % 40), 0.5F}, {99, 7}};
    EXPECT_EQ(Sampler(options).sample(logits), static_cast<int32_t>((i + 1) % 40)) << "a change puts another one first";
    options.logit_bias = {};
  }
}

TEST(Sampler, temperature_sharpens) {
  SamplingOptions o;
  o.temperature = 0.5;  // squares the odds: 0.9 : 0.1 from 0.75 : 0.25
  const auto ids = draw(o, logits_of({0.75, 0.25}), 20000);
  EXPECT_NEAR(static_cast<double>(std::count(ids.begin(), ids.end(), 0)) / 20000, 0.9, 0.015);
}

TEST(Sampler, top_k_keeps_the_k_likeliest) {
  SamplingOptions o;
  o.top_k = 2;
  EXPECT_EQ(drawn(o, logits_of({0.1, 0.2, 0.3, 0.4})), (Ids{2, 3}));
}

TEST(Sampler, top_p_keeps_the_fewest_that_reach_p) {
  SamplingOptions o;
  o.top_p = 0.65;
  EXPECT_EQ(drawn(o, logits_of({0.1, 0.2, 0.3, 0.4})), (Ids{2, 3}));
  o.top_p = 0.75;
  EXPECT_EQ(drawn(o, logits_of({0.1, 0.2, 0.3, 0.4})), (Ids{1, 2, 3}));
  o.top_p = 1e-9;
  EXPECT_EQ(drawn(o, logits_of({0.1, 0.2, 0.3, 0.4})), (Ids{3}));
}

TEST(Sampler, min_p_is_a_share_of_the_likeliest) {
  SamplingOptions o;
  o.min_p = 0.45;
  EXPECT_EQ(drawn(o, logits_of({0.1, 0.2, 0.3, 0.4})), (Ids{1, 2, 3}));
  o.min_p = 1;
  EXPECT_EQ(drawn(o, logits_of({0.1, 0.2, 0.3, 0.4})), (Ids{3}));
}

TEST(Sampler, a_bias_of_minus_infinity_forbids_and_a_large_one_forces) {
  SamplingOptions o;
  o.logit_bias[1] = -INFINITY;
  EXPECT_EQ(drawn(o, {0, 9, 0}), (Ids{0, 2}));
  o.logit_bias = {{2, 100.0}, {77, 5.0}};  // ids beyond the vocabulary have no effect
  EXPECT_EQ(drawn(o, {0, 9, 0}), (Ids{2}));
}

TEST(Sampler, penalties_act_on_seen_tokens_only_and_for_the_window_only) {
  SamplingOptions o;
  o.temperature = 0;
  o.repetition_penalty = 2;
  o.penalty_window = 2;
  Sampler sampler(o);
  const std::vector<float> logits{4, 3.5f, 3.4f, 2.5f};
  for (const int32_t expected : {0, 1, 2, 0}) {  // by the last draw the window has forgotten 0: 4 again, not 2
    EXPECT_EQ(sampler.sample(logits), expected);
    sampler.accept(expected);
  }
}

TEST(Sampler, a_repetition_penalty_lowers_negative_logits_too) {
  SamplingOptions o;
  o.temperature = 0;
  o.repetition_penalty = 1.5;
  Sampler sampler(o);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(std::vector<float>{-1, -1.2f}), 1);
}

TEST(Sampler, presence_counts_once_and_frequency_every_time) {
  SamplingOptions o;
  o.temperature = 0;
  o.presence_penalty = 1;
  Sampler presence(o);
  o.presence_penalty = 0;
  o.frequency_penalty = 1;
  Sampler frequency(o);
  for (Sampler* s : {&presence, &frequency})
    for (int i = 0; i < 3; ++i) s->accept(0);
  const std::vector<float> logits{2, 0};
  EXPECT_EQ(presence.sample(logits), 0);
  EXPECT_EQ(frequency.sample(logits), 1);
}

TEST(Sampler, nan_is_never_drawn_and_nothing_left_is_an_error) {
  EXPECT_EQ(drawn({}, {NAN, 1, NAN}), (Ids{1}));
  EXPECT_TRUE(contains(error_of([] { draw({}, {NAN, -INFINITY}, 1); }), "every token is forbidden"));
}

TEST(Sampler, infinite_logits_win) { EXPECT_EQ(drawn({}, {1, INFINITY, 2}), (Ids{1})); }

std::vector<int32_t> draw_masked(const SamplingOptions& options, const std::vector<float>& logits,
                                 const std::vector<uint64_t>& allowed) {
  Sampler sampler(options);
  std::vector<int32_t> out;
  for (int i = 0; i < 300; ++i) out.push_back(sampler.sample(logits, allowed));
  return out;
}

TEST(Sampler, a_mask_draws_what_minus_infinite_logits_would_draw) {
  std::vector<float> logits(150);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i)) * 3;
  const std::vector<uint64_t> allowed{0x8000000000000001, 0x00F0, 0xFFFFFFFFFF000001};  // bits beyond 150 mean nothing
  std::vector<float> masked = logits;
  for (size_t i = 0; i < masked.size(); ++i)
    if (!(allowed[i / 64] >> i % 64 & 1)) masked[i] = -INFINITY;
  SamplingOptions greedy, cut, biased;
  greedy.temperature = 0;
  cut.top_k = 4;
  cut.top_p = 0.9;
  cut.min_p = 0.1;
  biased.logit_bias = {{1, 50.0}, {63, 2.0}, {0, -INFINITY}};
  for (const SamplingOptions& options : {SamplingOptions{}, greedy, cut, biased}) {
    const auto ids = draw_masked(options, logits, allowed);
    EXPECT_EQ(ids, draw(options, masked, 300));
    for (const int32_t id : ids) EXPECT_TRUE(allowed[static_cast<size_t>(id) / 64] >> id % 64 & 1) << id;
  }
}

TEST(Sampler, no_bias_and_no_logit_overrules_a_mask) {
  SamplingOptions o;
  o.logit_bias = {{0, 1000.0}};
  const auto only = [&](const std::vector<float>& logits, uint64_t mask) {
    const auto ids = draw_masked(o, logits, {mask});
    return Ids(ids.begin(), ids.end());
  };
  EXPECT_EQ(only({5, INFINITY, 0, NAN}, 0b1100), (Ids{2}));
  EXPECT_TRUE(contains(error_of([&] { only({1, 2}, 0b100); }), "every token is forbidden"));
  EXPECT_TRUE(contains(error_of([&] { only({1, 2}, 0); }), "a grammar"));
}

TEST(Sampler, a_token_beyond_the_mask_is_forbidden) {
  std::vector<float> logits(70, 1);
  logits[69] = 100;
  for (const int32_t id : draw_masked({}, logits, {~uint64_t{0}})) EXPECT_LT(id, 64);
}

TEST(Sampler, options_out_of_range_are_named) {
  const auto error = [](auto change) {
    SamplingOptions o;
    change(o);
    return error_of([&] { Sampler sampler(o); });
  };
  EXPECT_TRUE(contains(error([](auto& o) { o.temperature = -1; }), "temperature"));
  EXPECT_TRUE(contains(error([](auto& o) { o.top_p = 0; }), "top_p"));
  EXPECT_TRUE(contains(error([](auto& o) { o.min_p = 2; }), "min_p"));
  EXPECT_TRUE(contains(error([](auto& o) { o.repetition_penalty = 0; }), "repetition"));
  EXPECT_TRUE(contains(error([](auto& o) { o.temperature = NAN; }), "temperature"));
}

TEST(StopStrings, text_ends_before_the_earliest_stop_in_any_split) {
  const std::string text = "one two\n\nUser: three";
  for (size_t step = 1; step <= text.size(); ++step) {
    StopStrings stops({"User:", "\n\nU", "never"});
    std::string out;
    for (size_t i = 0; i < text.size(); i += step) out += stops.push(text.substr(i, step));
    EXPECT_EQ(out, "one two") << step;
    EXPECT_TRUE(stops.stopped());
    EXPECT_EQ(stops.finish(), "");
  }
}

TEST(StopStrings, what_only_looked_like_a_stop_comes_out_at_last) {
  StopStrings stops({"abc"});
  EXPECT_EQ(stops.push("xab"), "x");
  EXPECT_EQ(stops.push("ab"), "ab");
  EXPECT_EQ(stops.finish(), "ab");
  EXPECT_FALSE(stops.stopped());
}

}  // namespace
}  // namespace ingrain::session
