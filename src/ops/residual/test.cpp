// The residual addition: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/residual/residual.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

Case residual_case(const char* name, const std::vector<int64_t>& sizes, bool planed, int64_t P, double scale = 1) {
  Case c = new_case(fmt::format("residual_{}", name), P);
  Inputs in(c);
  in.planed(sizes);
  if (planed)
    in.planed(sizes);
  else
    in.slow(in.normal(sizes));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    return {ops::add_residual(planed ? x[1] : slow[0].unsqueeze(0), x[0], scale)};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    return {x[0] * scale + (planed ? x[1] : slow[0])};
  };
  return c;
}

struct ResidualInputs {
  Tensor residual, x;
  explicit ResidualInputs(at::ScalarType type) : residual(at::ones({1, 3, 8}, type)), x(at::ones({2, 3, 8}, type)) {}
  void run() const { ops::add_residual(residual, x); }
};
TEST(Refused, residuals) {
  expect_refused<ResidualInputs>({
      {"another width", [](auto& in) { in.x = at::ones({2, 3, 9}, in.x.options()); }},
      {"one row, which would be spread", [](auto& in) { in.residual = in.residual.narrow(1, 0, 1); }},
      {"another type", [](auto& in) { in.residual = in.residual.to(at::kHalf); }},
      {"a tangent, of a value", [](auto& in) { std::swap(in.residual, in.x); }},
  });
}

}  // namespace

std::vector<Case> residual_cases(int64_t P) {
  std::vector<Case> cases;
  cases.push_back(residual_case("planed", {2, 3, 33}, true, P));
  cases.push_back(residual_case("value_only", {7, 64}, false, P));
  cases.push_back(residual_case("scaled", {2, 3, 33}, true, P, 0.22));
  cases.push_back(residual_case("scaled_value_only", {7, 64}, false, P, 0.22));
  return cases;
}

}  // namespace ingrain::test
