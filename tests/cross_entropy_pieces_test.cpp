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

/// Where the vocabulary is large, linear_cross_entropy() itself takes it in pieces.
TEST(CrossEntropy, of_a_large_vocabulary_equals_the_formula) {
  at::manual_seed(5);
  const int64_t N = 300, D = 16, V = 9001;
  const Tensor x_ND = at::randn({N, D}, at::kDouble), E_VD = at::randn({V, D}, at::kDouble);
  const Tensor target_N = at::randint(V, {N}, at::kLong);
  Tensor a_N = at::rand({N}, at::kDouble);
  a_N.narrow(0, 7, 2).zero_();  // masked tokens
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 5e-2)}) {
    // What it should be, from the same rounded numbers in fp64.
    const Tensor x = x_ND.to(type).to(at::kDouble), E = E_VD.to(type).to(at::kDouble);
    const Tensor log_p_NV = at::mm(x, E.t()).log_softmax(1), y_N1 = target_N.unsqueeze(1);
    const Tensor nll_N = -log_p_NV.gather(1, y_N1).squeeze(1);
    const Tensor gz_NV = log_p_NV.exp().scatter_add(1, y_N1, at::full({N, 1}, -1, at::kDouble));
    const Tensor gx_ND = a_N.unsqueeze(1) * at::mm(gz_NV, E);
    const auto sums = type == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor leaf = x_ND.to(type).unsqueeze(0).requires_grad_(), a = a_N.to(sums);
    const auto with = linear_cross_entropy(leaf, E_VD.to(type), target_N, a);
    const auto without = linear_cross_entropy(leaf.detach(), E_VD.to(type), target_N, a);
    EXPECT_TRUE(with.nll_N.equal(without.nll_N)) << "the same, whether there is a gradient or not";
    EXPECT_LT(test::max_difference(with.nll_N.to(at::kDouble), nll_N), tolerance * 20);
    const Tensor got_ND = ops::gradients({with.objective}, {leaf})[0][0];
    EXPECT_LT(test::max_difference(got_ND.to(at::kDouble), gx_ND), tolerance * 5);
    EXPECT_EQ(got_ND.narrow(0, 7, 2).abs().max().item<double>(), 0) << "of masked tokens";
  }
}

}  // namespace
}  // namespace ingrain::ops
