// The head's loss with the vocabulary in pieces equals the whole one (ops/linear_cross_entropy).
#include "ops/autograd.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/linear_cross_entropy/pieces.h"
#include "tiny_model.h"

#include <gtest/gtest.h>

#include <numeric>

namespace ingrain::ops {
namespace {

struct Case {
  at::ScalarType type;
  double scale;  // of x: large ones make a softmax of one token
  double tolerance;
};

class CrossEntropyPieces : public ::testing::TestWithParam<Case> {};

TEST_P(CrossEntropyPieces, equal_the_whole) {
  const auto [type, scale, tolerance] = GetParam();
  at::manual_seed(3);
  const int64_t N = 5, D = 24, V = 101;
  const Tensor x_ND = (at::randn({N, D}, at::kDouble) * scale).to(type), E_VD = at::randn({V, D}, at::kDouble).to(type);
  const Tensor target_N = at::tensor({0, 100, 37, 38, 64}, at::kLong);  // at pieces' edges, too
  // What it should be, from the same rounded numbers in fp64.
  const Tensor leaf = x_ND.to(at::kDouble).unsqueeze(0).requires_grad_();
  const auto whole = linear_cross_entropy(leaf, E_VD.to(at::kDouble), target_N, at::ones({N}, at::kDouble));
  const Tensor gx_ND = ops::gradients({whole.objective}, {leaf})[0][0];
  for (const auto& pieces : {std::vector<int64_t>{101}, {1, 37, 63}, {38, 62, 1}, {64, 37}}) {
    ASSERT_EQ(std::accumulate(pieces.begin(), pieces.end(), int64_t{0}), V);
    CrossEntropyInPieces loss(x_ND, target_N);
    for (const int64_t rows : pieces) {
      CrossEntropyInPieces copy = loss;  // goes on by itself
      copy.add(E_VD, rows);
      loss.add(E_VD, rows);
    }
    EXPECT_EQ(loss.added(), V);
    EXPECT_LT(test::max_difference(loss.nll_N().to(at::kDouble), whole.nll_N),
              tolerance * (1 + whole.nll_N.max().item<double>()));
    EXPECT_LT(test::max_difference(loss.gradient_ND(E_VD).to(at::kDouble), gx_ND),
              tolerance * (1 + gx_ND.abs().max().item<double>()));
  }
}

INSTANTIATE_TEST_SUITE_P(types, CrossEntropyPieces,
                         ::testing::Values(Case{at::kDouble, 1, 1e-12}, Case{at::kDouble, 300, 1e-10},
                                           Case{at::kFloat, 1, 1e-5}, Case{at::kFloat, 30, 1e-5},
                                           Case{at::kBFloat16, 1, 2e-2}));

}  // namespace
}  // namespace ingrain::ops
