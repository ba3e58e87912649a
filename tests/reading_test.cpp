// Properties of reading (docs/mathematics.md, "Reading: the inner loop"), on random small models in fp64.
#include "base/error.h"
#include "same_memory.h"
#include "ttt/outer_gradient.h"
#include "ttt/steps/amortized.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>

namespace ingrain::ttt {
namespace {

using test::expect_same_memory;
using test::max_difference;
using test::random_tokens;
using test::tiny_model;
using test::TinyShape;

constexpr double kExact = 1e-11;

/// Reads in pieces of the given sizes (the last one repeated) and returns all scores.
Tensor read_pieces(const Tensor& tokens_Bn, const std::vector<int64_t>& sizes,
                   const std::function<Tensor(const Tensor&)>& read_piece) {
  std::vector<Tensor> scores;
  size_t next = 0;
  for (int64_t first = 0; first < tokens_Bn.size(1);) {
    const int64_t n = std::min(sizes[std::min(next++, sizes.size() - 1)], tokens_Bn.size(1) - first);
    scores.push_back(read_piece(tokens_Bn.narrow(1, first, n)));
    first += n;
  }
  return at::cat(scores, 1);
}

Tensor read_split(const Network& model, Memory& memory, const Tensor& tokens_Bn, const std::vector<int64_t>& sizes,
                  const ReadOptions& options = {}) {
  return read_pieces(tokens_Bn, sizes,
                     [&](const Tensor& piece_Bn) { return read(model, memory, piece_Bn, options).nll_Bn; });
}

Tensor read_split(InnerLoop& loop, const Tensor& tokens_Bn, const std::vector<int64_t>& sizes,
                  const ReadOptions& options) {
  return read_pieces(tokens_Bn, sizes, [&](const Tensor& piece_Bn) { return loop.read(piece_Bn, options).nll_Bn; });
}

class Reading : public ::testing::TestWithParam<TinyShape> {};

TEST_P(Reading, in_any_split_gives_the_same_memory_and_scores) {
  const Network model = tiny_model(GetParam());
  const int64_t n = model.config.chunk > 8 || model.config.widest_window() > 12 ? 53 : 37;
  const Tensor tokens = random_tokens(model.config, 2, 53).narrow(1, 0, n);
  Memory whole = empty_memory(model, 2);
  const Tensor scores = read(model, whole, tokens).nll_Bn;
  EXPECT_TRUE(std::isnan(scores[0][0].item<double>())) << "a sequence's first token has no score";
  const auto expect_same = [&](const std::vector<int64_t>& sizes, const ReadOptions& options) {
    SCOPED_TRACE(fmt::format("ahead {}, first piece {}", options.ahead, sizes[0]));
    Memory memory = empty_memory(model, 2);
    const Tensor split = read_split(model, memory, tokens, sizes, options);
    EXPECT_LT(max_difference(scores.narrow(1, 1, n - 1), split.narrow(1, 1, n - 1)), kExact);
    expect_same_memory(model, whole, memory);
  };
  const std::vector<std::vector<int64_t>> splits{{1}, {8}, {3, 20, 1, 2}};
  for (const auto& sizes : splits) expect_same(sizes, {});
  // Parts of a chunk that are passed ahead of its end, or none.
  const std::vector<std::pair<int64_t, std::vector<std::vector<int64_t>>>> splits_ahead{
      {0, {{16, 1}}}, {1, {{30, 1}}}, {3, {{1}, {5, 1, 2}}}, {8, {{2, 3, 1}}}};
  for (const auto& [ahead, sizes_ahead] : splits_ahead) {
    ReadOptions options;
    options.ahead = ahead;
    for (const auto& sizes : sizes_ahead) expect_same(sizes, options);
  }
  ReadOptions small_prefills;
  small_prefills.prefill = 5;
  Memory memory = empty_memory(model, 2);
  read(model, memory, tokens, small_prefills);
  expect_same_memory(model, whole, memory);
}

/// What was passed ahead is not part of a memory; a memory without it must go on with the same numbers, to the last
/// bit.
TEST_P(Reading, a_memory_without_the_work_done_ahead_goes_on_identically) {
  const Network model = tiny_model(GetParam(), at::kFloat);
  const Tensor tokens = random_tokens(model.config, 1, 45);
  ReadOptions options;
  options.ahead = 3;
  for (const int64_t at : {13, 16}) {
    Memory going_on = empty_memory(model);
    InnerLoop loop(model, going_on);
    read_split(loop, tokens.narrow(1, 0, at), {1}, options);
    if (model.config.suffix_len > 0 && at == 16 && model.config.chunk == 8) {
      EXPECT_GT(loop.passed_ahead(), 0);
    }
    Memory without = going_on.fork(), at_once = going_on.fork();
    InnerLoop anew(model, without);
    const Tensor rest = tokens.narrow(1, at, 45 - at);
    const Tensor a = read_split(loop, rest, {1, 2, 1, 7, 1}, options),
                 b = read_split(anew, rest, {1, 2, 1, 7, 1}, options),
                 c = read_split(model, at_once, rest, {1, 2, 1, 7, 1}, options);
    EXPECT_TRUE(a.equal(b)) << "from " << at;
    EXPECT_TRUE(a.equal(c)) << "call by call from " << at;
    expect_same_memory(model, going_on, without, 0);
    expect_same_memory(model, going_on, at_once, 0);
  }
}

/// A memory may be exchanged for another between two calls: what was done ahead for the one is of no use to the other.
TEST(WorkAhead, is_dropped_where_the_memory_was_exchanged) {
  const Network model = tiny_model({}, at::kFloat);
  const Tensor tokens = random_tokens(model.config, 1, 45), others = random_tokens(model.config, 1, 45, 9);
  ReadOptions options;
  options.ahead = 3;
  Memory memory = empty_memory(model), expected = empty_memory(model);
  InnerLoop loop(model, memory);
  read_split(loop, tokens.narrow(1, 0, 16), {1}, options);
  ASSERT_GT(loop.passed_ahead(), 0);
  read_split(model, expected, others.narrow(1, 0, 16), {1}, options);
  memory = expected.fork();
  EXPECT_EQ(loop.passed_ahead(), 0);
  const Tensor rest = tokens.narrow(1, 16, 29);
  EXPECT_TRUE(read_split(loop, rest, {1}, options).equal(read_split(model, expected, rest, {1}, options)));
  expect_same_memory(model, expected, memory, 0);
}

/// A text that ends before its chunk's second half has worked for nothing; then no token carries much.
TEST(WorkAhead, is_spread_over_the_second_half_of_the_chunk) {
  TinyShape shape;
  shape.chunk = 64;
  const ModelConfig config = test::tiny_config(shape);
  const AmortizedChunk ahead(config, {}, 16);               // parts of 16, 16, 16, 8, 4, 2 and 2 tokens
  const int64_t units = SuffixPass::sublayers(config) + 1;  // so small a vocabulary is one unit
  EXPECT_EQ(ahead.part_tokens(), 16);
  for (int64_t filled = 0; filled < 40; ++filled) EXPECT_EQ(ahead.units_due(filled), 0) << filled;
  EXPECT_EQ(ahead.units_due(40), (units + 15) / 16);
  for (int64_t filled = 41; filled < 64; ++filled) {
    EXPECT_GE(ahead.units_due(filled), ahead.units_due(filled - 1));
    EXPECT_LE(ahead.units_due(filled), (units + 1) / 2) << "a backlog is worked off gradually";
  }
  EXPECT_EQ(ahead.units_due(64), (units + 1) / 2);
  EXPECT_EQ(AmortizedChunk(config, {}, 1).part_tokens(), 1);
}

TEST_P(Reading, scores_never_depend_on_later_tokens) {
  const Network model = tiny_model(GetParam());
  Tensor tokens = random_tokens(model.config, 1, 40);
  Memory first = empty_memory(model), second = empty_memory(model);
  const Tensor before = read(model, first, tokens).nll_Bn;
  for (const int64_t changed : {39, 24, 17, 16, 15}) {
    tokens[0][changed] = (tokens[0][changed].item<int64_t>() + 5) % 37;
    Memory memory = empty_memory(model);
    const Tensor after = read(model, memory, tokens).nll_Bn;
    EXPECT_LT(max_difference(before.narrow(1, 1, changed - 1), after.narrow(1, 1, changed - 1)), kExact);
    EXPECT_GT(max_difference(before.narrow(1, changed, 1), after.narrow(1, changed, 1)), 1e-6);
  }
}

TEST_P(Reading, sequences_of_a_batch_do_not_influence_each_other) {
  const Network model = tiny_model(GetParam());
  const Tensor tokens = random_tokens(model.config, 3, 30);
  Memory together = empty_memory(model, 3);
  const Tensor scores = read(model, together, tokens).nll_Bn;
  for (int64_t b = 0; b < 3; ++b) {
    Memory alone = empty_memory(model);
    const Tensor own = read(model, alone, tokens.narrow(0, b, 1)).nll_Bn;
    EXPECT_LT(max_difference(scores.narrow(0, b, 1).narrow(1, 1, 29), own.narrow(1, 1, 29)), kExact);
  }
}

TEST_P(Reading, a_fork_never_changes_its_origin) {
  const Network model = tiny_model(GetParam());
  const Tensor tokens = random_tokens(model.config, 1, 60);
  Memory straight = empty_memory(model), origin = empty_memory(model);
  read(model, straight, tokens.narrow(1, 0, 21));
  read(model, origin, tokens.narrow(1, 0, 21));
  Memory fork = origin.fork();
  read(model, fork, tokens.narrow(1, 21, 39));
  expect_same_memory(model, straight, origin, 1e-300);
  read(model, origin, tokens.narrow(1, 21, 39));
  expect_same_memory(model, fork, origin, 1e-300);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Reading,
    ::testing::Values(TinyShape{}, TinyShape{.suffix = 1}, TinyShape{.window = 1}, TinyShape{.window = 5},
                      TinyShape{.window = 37, .chunk = 24}, TinyShape{.window = 10, .chunk = 32},
                      TinyShape{.window = 100, .kv_heads = 1}, TinyShape{.suffix = 3, .chunk = 1},
                      TinyShape{.layers = 2, .suffix = 0}, TinyShape{.tie = false, .post_norm = false},
                      TinyShape{.window = ModelConfig::kFullAttention, .learned_rates = true},
                      TinyShape{.layers = 4, .suffix = 3, .unrotated = 2},
                      TinyShape{.layers = 4, .suffix = 3, .window = 5, .full = 2},
                      TinyShape{.layers = 4, .suffix = 2, .window = 20, .full = 3},
                      TinyShape{.mixers = {{"gated_delta_net", 1}}},
                      TinyShape{.layers = 4, .suffix = 3, .window = 5, .sink = true},
                      TinyShape{.window = 2, .sink = true},
                      TinyShape{.window = 20, .chunk = 24, .kv_heads = 1, .sink = true},
                      TinyShape{.layers = 4, .suffix = 3, .like = test::Like::gemma3},
                      TinyShape{.layers = 4, .suffix = 3, .like = test::Like::olmo3},
                      TinyShape{.layers = 4, .suffix = 3, .like = test::Like::granite_swa},
                      TinyShape{.layers = 4, .suffix = 3, .like = test::Like::phi4_mini},
                      TinyShape{.layers = 4, .suffix = 3, .like = test::Like::ministral3},
                      TinyShape{.layers = 4, .suffix = 3, .output_gate = true, .without_mlp = 2},
                      TinyShape{.layers = 2, .suffix = 1, .chunk = 1, .mixers = {{"gated_delta_net", 2}}}));
INSTANTIATE_TEST_SUITE_P(RecurrentMixers, Reading, ::testing::ValuesIn(test::shapes_of_recurrent_mixers()));

std::vector<TinyShape> shapes_of_other_rules() {
  std::vector<TinyShape> out;
  for (const InnerRule& rule : test::other_inner_rules()) {
    out.push_back({.inner_lr = test::rate_of(rule), .inner = rule});
    out.push_back({.layers = 4,
                   .suffix = 3,
                   .window = 5,
                   .chunk = 5,
                   .learned_rates = true,
                   .inner_lr = test::rate_of(rule),
                   .mixers = {{"gated_delta_net", 2}},
                   .inner = rule});
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(OtherRules, Reading, ::testing::ValuesIn(shapes_of_other_rules()));

INSTANTIATE_TEST_SUITE_P(DelayedSteps, Reading, ::testing::ValuesIn(test::shapes_of_delayed_steps()));

TEST(DelayedSteps, change_what_is_read_from_the_second_chunk_on_and_training_reads_the_same) {
  const Network at_once = tiny_model({});
  const Tensor tokens = random_tokens(at_once.config, 2, 33);
  const auto scores = [&](const Network& model) {
    Memory memory = empty_memory(model, 2);
    return read(model, memory, tokens).nll_Bn.narrow(1, 1, 32);
  };
  const Tensor before = scores(at_once);
  for (const int64_t d : {1, 3, 7}) {
    const Network model = tiny_model({.inner = {.step_delay = d}});
    const Tensor now = scores(model);
    GradientSums sums(model.config, model.weights);
    EXPECT_LT(max_difference(now, meta_gradient(model.config, sums, tokens).nll_BT), kExact);
    EXPECT_LT(max_difference(before.narrow(1, 0, 8), now.narrow(1, 0, 8)), kExact);
    for (int64_t i = 0; i < d; ++i) EXPECT_GT(max_difference(before.select(1, 8 + i), now.select(1, 8 + i)), 1e-6);
  }
}

/// A step that moves nothing before its time: the first d tokens of a chunk do not hear of the chunk before it but by
/// keys and values.
TEST(DelayedSteps, take_effect_after_as_many_tokens) {
  const Network model = tiny_model({.suffix = 1, .inner = {.step_delay = 3}});
  const Tensor tokens = random_tokens(model.config, 1, 17);
  Memory memory = empty_memory(model), unlearned = empty_memory(model);
  ReadOptions no_learning;
  no_learning.learn = false;
  const Tensor a = read(model, memory, tokens).nll_Bn, b = read(model, unlearned, tokens, no_learning).nll_Bn;
  // Scores of tokens 9 .. 11 are what tokens 8 .. 10 predict, the chunk's first three.
  EXPECT_LT(max_difference(a.narrow(1, 1, 11), b.narrow(1, 1, 11)), kExact);
  for (const int64_t i : {12, 13, 14, 15, 16}) EXPECT_GT(max_difference(a.select(1, i), b.select(1, i)), 1e-6) << i;
}

/// A chunk that is not learnt from leaves nothing to wait for.
TEST(DelayedSteps, where_none_is_made_nothing_is_delayed) {
  const Network model = tiny_model({.inner = {.step_delay = 3}});
  ReadOptions no_learning;
  no_learning.learn = false;
  Memory memory = empty_memory(model);
  read(model, memory, random_tokens(model.config, 1, 12));
  EXPECT_FALSE(memory.early_S.empty());
  read(model, memory, random_tokens(model.config, 1, 8), no_learning);
  EXPECT_TRUE(memory.early_S.empty());
}

TEST(DelayedSteps, are_made_in_even_pieces_while_their_tokens_come) {
  TinyShape shape;
  shape.chunk = 64;
  shape.inner.step_delay = 20;
  const Network model = tiny_model(shape);
  ReadOptions options;
  options.ahead = 16;
  Memory memory = empty_memory(model);
  const Tensor tokens = random_tokens(model.config, 1, 65);
  read(model, memory, tokens.narrow(1, 0, 64), options);
  set_targets(model.config, memory, 63, tokens.narrow(1, 64, 1), true);
  AmortizedChunk chunk(model.config, memory, 16);
  std::vector<int64_t> parts;
  while (chunk.done() < 64) {
    const int64_t done = chunk.done();
    parts.push_back(chunk.part_tokens());
    while (chunk.done() == done) chunk.make_unit(model.weights, memory);
  }
  EXPECT_EQ(parts, (std::vector<int64_t>{16, 4, 16, 16, 12})) << "none across the early tokens' end";
  AmortizedChunk late(model.config, memory, 16);
  late.begin_step(1);
  int64_t made = 0;
  for (int64_t read = 1; read <= 20; ++read) {
    int64_t now = 0;
    for (; late.step_due(read); ++now) late.make_step_unit(model.weights, memory);
    EXPECT_LE(now, 4);  // of a work of 5 parts' 7 units and 8 pieces as long as 3 of those, 59 in all
    made += now;
    EXPECT_FALSE(late.step_made() && read < 19) << read;
  }
  EXPECT_TRUE(late.step_made());
  EXPECT_EQ(made, 5 * (SuffixPass::sublayers(model.config) + 1) + PiecewiseStep::units(model.config));
}

TEST(ReadingMasks, after_such_a_chunk_neither_momentum_nor_decay_has_moved_anything) {
  for (const InnerRule& rule : test::other_inner_rules()) {
    const Network model = tiny_model({.inner = rule});
    Memory memory = empty_memory(model);
    read(model, memory, random_tokens(model.config, 1, 17));  // two chunks learnt from, the third's first token
    const Memory before = memory.fork();
    ReadOptions nothing_counts;
    nothing_counts.learn_these = false;
    memory.valid_Bb.fill_(false);
    read(model, memory, random_tokens(model.config, 1, 8, 4), nothing_counts);
    EXPECT_EQ(memory.steps, before.steps + rule.steps);
    for (size_t s = 0; s < memory.W_S.size(); ++s)
      EXPECT_TRUE(memory.W_S[s].w13_FD.equal(before.W_S[s].w13_FD) && memory.W_S[s].w2_DF.equal(before.W_S[s].w2_DF));
    ASSERT_EQ(memory.M_S.empty(), rule.momentum == 0);
    for (size_t s = 0; s < memory.M_S.size(); ++s) {
      EXPECT_GT(memory.M_S[s].w13_FD.abs().max().item<double>(), 0);
      EXPECT_TRUE(memory.M_S[s].w13_FD.equal(before.M_S[s].w13_FD) && memory.M_S[s].w2_DF.equal(before.M_S[s].w2_DF));
    }
  }
}

TEST(ReadingMasks, a_chunk_without_targets_that_count_changes_no_weight) {
  const Network model = tiny_model({});
  Memory memory = empty_memory(model);
  const Tensor all_bos = at::full({1, 25}, model.config.bos_id, at::kLong);
  const Tensor scores = read(model, memory, all_bos).nll_Bn;
  EXPECT_EQ(memory.steps, 3);
  EXPECT_TRUE(scores.narrow(1, 1, 24).isfinite().all().item<bool>());
  EXPECT_EQ(max_difference(memory.W_S[0].w13_FD[0], model.weights.fast_S[0].w13_FD), 0);
}

TEST(ReadingMasks, learning_off_keeps_the_weights_and_tokens_not_to_learn_are_masked) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 25);
  for (const bool learn : {false, true}) {
    Memory memory = empty_memory(model);
    ReadOptions options;
    options.learn = learn;
    options.learn_these = false;
    read(model, memory, tokens, options);
    EXPECT_EQ(max_difference(memory.W_S[1].w2_DF[0], model.weights.fast_S[1].w2_DF), 0);
  }
}

TEST(ReadingMasks, learning_off_makes_no_pending_step_either) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 33);
  ReadOptions off;
  off.learn = false;
  Memory whole = empty_memory(model), split = empty_memory(model);
  const Tensor scores = read(model, whole, tokens, off).nll_Bn;
  const Tensor in_chunks = read_split(model, split, tokens, {8}, off);
  EXPECT_LT(max_difference(scores.narrow(1, 1, 32), in_chunks.narrow(1, 1, 32)), kExact);
  EXPECT_EQ(split.steps, 0);
  EXPECT_EQ(max_difference(split.W_S[0].w13_FD[0], model.weights.fast_S[0].w13_FD), 0);
  expect_same_memory(model, whole, split);
}

TEST(ReadingLimits, nothing_and_one_token_are_fine_and_foreign_ids_are_refused) {
  const Network model = tiny_model({});
  Memory memory = empty_memory(model);
  EXPECT_EQ(read(model, memory, at::empty({1, 0}, at::kLong)).tokens_read, 0);
  EXPECT_THROW(next_logits(model, memory), Error);
  EXPECT_EQ(read(model, memory, at::full({1, 1}, 3, at::kLong)).tokens_read, 1);
  EXPECT_EQ(next_logits(model, memory).size(1), 37);
  EXPECT_THROW(read(model, memory, at::full({1, 1}, 37, at::kLong)), Error);
  EXPECT_THROW(read(model, memory, at::full({1, 1}, -1, at::kLong)), Error);
  EXPECT_EQ(memory.position, 1);
}

TEST(ReadingLimits, stopping_leaves_the_memory_of_what_was_read) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 60);
  ReadOptions options;
  options.prefill = 8;
  options.keep_going = [](int64_t done) { return done < 16; };
  Memory stopped = empty_memory(model), straight = empty_memory(model);
  const int64_t n = read(model, stopped, tokens, options).tokens_read;
  ASSERT_LT(n, 60);
  read(model, straight, tokens.narrow(1, 0, n));
  expect_same_memory(model, straight, stopped);
}

TEST(ReadingLimits, a_caller_that_throws_is_left_with_the_memory_of_what_was_read) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 120);
  const auto enough = [] { throw std::runtime_error("enough"); };
  for (const bool asked : {false, true})
    for (const int64_t at_once : {1, 5, 120}) {
      int64_t calls = 0;
      ReadOptions options;
      options.prefill = 16;
      if (asked)
        options.keep_going = [&](int64_t) { return ++calls == 3 ? (enough(), true) : true; };
      else
        options.on_step = [&](const StepReport& step, const Memory&, const std::vector<Mlp>&) {
          ++calls, step.step == 4 ? enough() : void();
        };
      Memory stopped = empty_memory(model), expected = empty_memory(model);
      const bool one_call = at_once == tokens.size(1);
      if (asked && !one_call) continue;  // nothing is asked within one prefill
      EXPECT_THROW(read_split(model, stopped, tokens, {at_once}, options), std::runtime_error);
      EXPECT_EQ(calls, asked ? 3 : 5) << "none is called after it";
      EXPECT_LT(stopped.position, tokens.size(1));
      read(model, expected, tokens.narrow(1, 0, stopped.position));
      expect_same_memory(model, stopped, expected);
      const auto rest = [&](Memory& memory) {
        return read(model, memory, tokens.narrow(1, memory.position, 20)).nll_Bn;
      };
      EXPECT_LT(max_difference(rest(stopped), rest(expected)), kExact);
    }
}

TEST(ReadingMemory, reading_64k_tokens_uses_no_more_memory_than_16k) {
  const Network model = tiny_model({.layers = 2, .suffix = 1, .window = 256, .chunk = 256}, at::kFloat);
  const Tensor tokens = random_tokens(model.config, 1, 16384);
  const auto peak_kib = [] {
    struct rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  Memory memory = empty_memory(model);
  read(model, memory, tokens);
  const long after_16k = peak_kib();
  for (int i = 0; i < 3; ++i) read(model, memory, tokens);
  EXPECT_EQ(memory.position, 65536);
  EXPECT_LT(peak_kib() - after_16k, 4096) << "KiB more than after 16K tokens";
}

}  // namespace
}  // namespace ingrain::ttt
