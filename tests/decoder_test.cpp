// Writing from the decoder's own buffers (ttt/decoder.h) gives what ttt::read gives, token by token. In fp64, on the CPU.
#include "tiny_model.h"
#include "ttt/decoder.h"

#include <gtest/gtest.h>

namespace ingrain::ttt {
namespace {

using test::max_difference;
using test::random_tokens;
using test::tiny_model;
using test::TinyShape;

constexpr double kExact = 1e-11;

void expect_same(const Network& model, const Memory& a, const Memory& b) {
  ASSERT_EQ(a.position, b.position);
  ASSERT_EQ(a.filled, b.filled);
  ASSERT_EQ(a.steps, b.steps);
  for (size_t s = 0; s < a.W_S.size(); ++s) EXPECT_LT(max_difference(a.W_S[s].w13_FD, b.W_S[s].w13_FD), kExact);
  for (size_t i = 0; i < a.kv_L.size(); ++i) {
    const int64_t n = std::min(model.config.window - 1, a.kv_L[i].length());
    ASSERT_EQ(a.kv_L[i].length(), b.kv_L[i].length()) << "block " << i;
    if (n == 0) continue;
    EXPECT_LT(max_difference(a.kv_L[i].last(n).k_BWGd, b.kv_L[i].last(n).k_BWGd), kExact) << "block " << i;
    EXPECT_LT(max_difference(a.kv_L[i].last(n).v_BWGd, b.kv_L[i].last(n).v_BWGd), kExact) << "block " << i;
  }
  if (a.filled > 0) {
    EXPECT_TRUE(a.target_Bb.narrow(1, 0, a.filled).equal(b.target_Bb.narrow(1, 0, a.filled)));
    EXPECT_TRUE(a.valid_Bb.narrow(1, 0, a.filled).equal(b.valid_Bb.narrow(1, 0, a.filled)));
    EXPECT_LT(max_difference(a.h_BbD.narrow(1, 0, a.filled), b.h_BbD.narrow(1, 0, a.filled)), kExact);
  }
  EXPECT_LT(max_difference(next_logits(model, a), next_logits(model, b)), kExact);
}

struct Case {
  TinyShape shape;
  int64_t before;  // tokens read before the decoder starts
};

class Decoding : public ::testing::TestWithParam<Case> {};

TEST_P(Decoding, from_own_buffers_is_reading_token_by_token) {
  const auto& [shape, before] = GetParam();
  const Network model = tiny_model(shape);
  const Tensor tokens = random_tokens(model.config, 2, 60);
  ReadOptions options;
  options.score = false;
  Memory expected = empty_memory(model, 2), memory = empty_memory(model, 2);
  read(model, expected, tokens.narrow(1, 0, before), options);
  read(model, memory, tokens.narrow(1, 0, before), options);
  BoundaryRing none;
  Decoder decoder(model, memory, none, options);
  EXPECT_LT(max_difference(decoder.logits_BV(), next_logits(model, expected)), kExact);
  for (int64_t i = before; i < 60; ++i) {
    const Tensor token = tokens.narrow(1, i, 1);
    read(model, expected, token, options);
    decoder.read(token);
    EXPECT_LT(max_difference(decoder.logits_BV(), next_logits(model, expected)), kExact) << "token " << i;
    if (i % 7 != 0) continue;  // in the middle of chunks and at their ends
    decoder.sync();
    expect_same(model, expected, memory);
  }
  decoder.sync();
  expect_same(model, expected, memory);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Decoding,
                         ::testing::Values(Case{{}, 1}, Case{{}, 5}, Case{{}, 8}, Case{{}, 29}, Case{{.window = 5}, 3}, Case{{.window = 1}, 9},
                                           Case{{.window = 40, .chunk = 6}, 2}, Case{{.window = 1000}, 4}, Case{{.kv_heads = 1}, 11},
                                           Case{{.suffix = 1}, 16}, Case{{.layers = 2, .suffix = 2}, 6}, Case{{.layers = 2, .suffix = 0}, 7},
                                           Case{{.tie = false, .post_norm = false, .learned_rates = true}, 10}));

TEST(Decoder, keeps_the_boundaries_that_reading_keeps) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 30);
  ReadOptions options;
  Memory expected = empty_memory(model), memory = empty_memory(model);
  BoundaryRing read_kept(1 << 20), written_kept(1 << 20);
  read(model, expected, read_kept, tokens, options);
  read(model, memory, written_kept, tokens.narrow(1, 0, 3), options);
  Decoder decoder(model, memory, written_kept, options);
  for (int64_t i = 3; i < 30; ++i) decoder.read(tokens.narrow(1, i, 1));
  ASSERT_EQ(written_kept.positions(), read_kept.positions());
  ASSERT_FALSE(read_kept.positions().empty());
  for (const int64_t at : read_kept.positions()) expect_same(model, *read_kept.find(at), *written_kept.find(at));
}

TEST(Decoder, tokens_that_do_not_count_leave_their_targets_out) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 30);
  ReadOptions given, written;
  written.learn_these = false;
  Memory expected = empty_memory(model), memory = empty_memory(model);
  for (Memory* m : {&expected, &memory}) read(model, *m, tokens.narrow(1, 0, 5), given);
  BoundaryRing none;
  {
    Decoder decoder(model, memory, none, written);
    for (int64_t i = 5; i < 12; ++i) decoder.read(tokens.narrow(1, i, 1));
    decoder.sync();
  }
  for (int64_t i = 5; i < 12; ++i) read(model, expected, tokens.narrow(1, i, 1), written);
  for (Memory* m : {&expected, &memory}) read(model, *m, tokens.narrow(1, 12, 18), given);
  expect_same(model, expected, memory);
}

}  // namespace
}  // namespace ingrain::ttt
