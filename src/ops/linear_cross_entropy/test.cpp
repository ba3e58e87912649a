// The loss: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/linear_cross_entropy/pieces.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

struct CrossEntropyRow {
  const char* name;
  int64_t tokens, width, vocabulary;
};

Case cross_entropy_case(const CrossEntropyRow& row, int64_t P) {
  Case c = new_case(fmt::format("linear_cross_entropy_{}", row.name), P);
  const int64_t N = row.tokens;
  Inputs in(c);
  in.planed({N, row.width});
  in.slow(in.normal({row.vocabulary, row.width}, 0.3));
  c.values_only = 1;
  const Tensor target_N = (in.normal({N}).abs() * 1000).to(at::kLong).remainder(row.vocabulary);
  const Tensor a_N = in.normal({N}), c_N = in.normal({N});
  for (int64_t i = 1; i < N; i += 3) {  // masked tokens
    a_N[i].zero_();
    c_N[i].zero_();
  }
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const auto like_sums = x[0].options().dtype(ops::accumulate_type(x[0].scalar_type()));
    const auto out = ops::linear_cross_entropy(x[0], slow[0], target_N.to(x[0].device()), a_N.to(like_sums),
                                               P == 2 ? c_N.to(like_sums) : Tensor());
    return {out.objective, out.nll_N};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const Tensor log_p = x[0].matmul(slow[0].t()).log_softmax(-1);
    return {-log_p.gather(1, target_N.unsqueeze(1)).squeeze(1)};
  };
  c.finish = [=](const Tensors& nll, const Tensors& dnll) -> Tensors {
    const Tensor objective = (a_N * nll[0]).sum();
    return {dnll.empty() ? objective : objective - (c_N * dnll[0]).sum(), nll[0]};
  };
  return c;
}

const CrossEntropyRow kCrossEntropyRows[] = {
    {"one_token", 1, 8, 5},
    {"odd", 7, 16, 37},
    {"several_blocks", 150, 24, 1003},
    {"wide", 2, 8, 5000},
};

struct LossInputs {
  Tensor x, E, target, a, c, sum;
  explicit LossInputs(at::ScalarType type)
      : x(at::ones({2, 3, 8}, type)), E(at::ones({5, 8}, type)), target(at::zeros({3}, at::kLong)) {
    const auto wide = ops::accumulate_type(type);
    a = at::ones({3}, wide), c = at::ones({3}, wide), sum = at::ones({5, 8}, wide);
  }
  void run() const { ops::linear_cross_entropy(x, E, target, a, c, sum); }
};
TEST(Refused, losses) {
  expect_refused<LossInputs>({
      {"a head of other columns", [](auto& in) { in.E = in.sum = in.E.narrow(1, 0, 7); }},
      {"a head of another type", [](auto& in) { in.E = in.E.to(at::kHalf); }},
      {"a head without rows", [](auto& in) { in.E = in.E.narrow(0, 0, 0), in.sum = in.sum.narrow(0, 0, 0); }},
      {"fewer targets", [](auto& in) { in.target = in.target.narrow(0, 0, 2); }},
      {"targets in 32 bits", [](auto& in) { in.target = in.target.to(at::kInt); }},
      {"fewer weights", [](auto& in) { in.a = in.a.narrow(0, 0, 2); }},
      {"tangents without weights", [](auto& in) { in.c = Tensor(); }},
      {"weights in half precision", [](auto& in) { in.c = in.c.to(at::kHalf); }},
      {"a sum for another head", [](auto& in) { in.sum = in.sum.narrow(0, 0, 4); }},
      {"a sum in half precision", [](auto& in) { in.sum = in.sum.to(at::kHalf); }},
  });
  EXPECT_THROW(ops::CrossEntropyInPieces(at::ones({3, 8}), at::zeros({2}, at::kLong)), c10::Error) << "fewer targets";
}

}  // namespace

std::vector<Case> linear_cross_entropy_cases(int64_t P) {
  std::vector<Case> cases;
  for (const auto& row : kCrossEntropyRows) cases.push_back(cross_entropy_case(row, P));
  return cases;
}

}  // namespace ingrain::test
