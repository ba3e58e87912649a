// The rule of the inner step (docs/mathematics.md, "The inner optimizer"), number by number.
#include "ttt/inner_optimizer.h"

#include "tiny_model.h"

#include <gtest/gtest.h>

namespace ingrain::ttt {
namespace {

/// Two sequences, one of them without a gradient, by hand: W' = W - eta D - delta (W - W_0), M' = beta M + g'.
TEST(InnerOptimizer, sgd_with_momentum_and_decay_moves_every_number_as_the_page_says) {
  ModelConfig c = test::tiny_config({.inner_clip = 2});
  c.inner = {.momentum = 0.75, .decay = 0.25, .w13_factor = 3};
  const auto mlps = [](double w13, double w2, double second_w13, double second_w2) {
    return std::vector<Mlp>{{at::tensor({w13, second_w13}, at::kDouble).view({2, 1, 1}).expand({2, 2, 1}).contiguous(),
                             at::tensor({w2, second_w2}, at::kDouble).view({2, 1, 1})}};
  };
  FastState now{mlps(1, 2, 1, 2), mlps(0.5, -1, 0.5, -1)};
  const std::vector<Mlp> start{{at::zeros({2, 1}, at::kDouble), at::full({1, 1}, 4, at::kDouble)}};
  const auto g_S = mlps(0, 5, 0, 0);  // |g| = 5, clipped to 2
  const Tensor norm_B = inner_step({c, at::kDouble}, start, at::tensor({0.1}, at::kDouble), now, g_S, now);
  EXPECT_EQ(norm_B[0].item<double>(), 5);
  EXPECT_EQ(norm_B[1].item<double>(), 0);
  const auto number = [](const Tensor& x, int64_t b) { return x[b][0][0].item<double>(); };
  EXPECT_DOUBLE_EQ(number(now.M_S[0].w13_FD, 0), 0.375);
  EXPECT_DOUBLE_EQ(number(now.M_S[0].w2_DF, 0), 0.75 * -1 + 2);
  EXPECT_DOUBLE_EQ(number(now.W_S[0].w13_FD, 0), 1 - 0.1 * 3 * 0.375 - 0.25 * (1 - 0));
  EXPECT_DOUBLE_EQ(number(now.W_S[0].w2_DF, 0), 2 - 0.1 * 1.25 - 0.25 * (2 - 4));
  EXPECT_EQ(number(now.M_S[0].w13_FD, 1), 0.5) << "no target counted: no step";
  EXPECT_EQ(number(now.W_S[0].w2_DF, 1), 2);
}

TEST(InnerOptimizer, what_is_no_number_is_not_taken_for_a_chunk_without_targets) {
  ModelConfig c = test::tiny_config({});
  c.inner = {.momentum = 0.5};
  FastState now{{{at::ones({1, 2, 3}), at::ones({1, 3, 1})}}, {{at::ones({1, 2, 3}), at::ones({1, 3, 1})}}};
  const std::vector<Mlp> g_S{{at::full({1, 2, 3}, std::nan("")), at::zeros({1, 3, 1})}};
  const Tensor norm_B = inner_step({c, at::kFloat}, now.W_S, at::ones({1}), now, g_S, now);
  EXPECT_TRUE(norm_B.isnan().all().item<bool>());
  EXPECT_TRUE(now.W_S[0].w13_FD.isnan().all().item<bool>());
}

}  // namespace
}  // namespace ingrain::ttt
