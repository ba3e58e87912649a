// The rule of the inner step (docs/mathematics.md, "The inner optimizer"), number by number and matrix by matrix.
#include "ttt/inner_optimizer.h"

#include "tiny_model.h"

#include <gtest/gtest.h>

namespace ingrain::ttt {
namespace {

using test::max_difference;

TEST(InnerOptimizer, singular_values_become_alike_and_zero_stays_zero) {
  at::manual_seed(3);
  const Tensor u = std::get<0>(at::linalg_qr(at::randn({12, 8}, at::kDouble))),
               v = std::get<0>(at::linalg_qr(at::randn({8, 8}, at::kDouble)));
  const Tensor values = at::tensor({1.0, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0}, at::kDouble);
  const Tensor tall = u.matmul(at::diag(values)).matmul(v.t());
  for (const Tensor& x : {tall, Tensor(1e-7 * tall), Tensor(tall.t().contiguous())}) {
    const double scale = x.size(0) > x.size(1) ? std::sqrt(12.0 / 8) : 1;
    const Tensor got = at::linalg_svdvals(orthogonalized(x.unsqueeze(0))[0]) / scale;
    EXPECT_GT(got.narrow(0, 0, 7).min().item<double>(), 0.6) << got;
    EXPECT_LT(got.max().item<double>(), 1.3) << got;
    EXPECT_LT(got[7].item<double>(), 1e-6);
  }
  EXPECT_EQ(orthogonalized(at::zeros({2, 3, 4}, at::kFloat)).abs().max().item<double>(), 0);
}

TEST(InnerOptimizer, directions_stay_and_matrices_of_a_batch_are_taken_apart) {
  at::manual_seed(4);
  const Tensor x = at::randn({3, 5, 7}, at::kDouble), y = orthogonalized(x);
  for (int64_t n = 0; n < 3; ++n) {
    EXPECT_LT(max_difference(orthogonalized(x.narrow(0, n, 1)), y.narrow(0, n, 1)), 1e-12);
    const auto [u, s, v] = at::linalg_svd(x[n], /*full_matrices=*/false);
    const Tensor turned = u.t().matmul(y[n]).matmul(v.t());  // diagonal in the basis of x
    EXPECT_LT(max_difference(turned, at::diag(turned.diagonal())), 1e-10);
    EXPECT_GT(turned.diagonal().min().item<double>(), 0);
  }
}

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
  const Tensor norm_B = inner_step(c, start, at::tensor({0.1}, at::kDouble), now, g_S, now);
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
  const Tensor norm_B = inner_step(c, now.W_S, at::ones({1}), now, g_S, now);
  EXPECT_TRUE(norm_B.isnan().all().item<bool>());
  EXPECT_TRUE(now.W_S[0].w13_FD.isnan().all().item<bool>());
}

}  // namespace
}  // namespace ingrain::ttt
