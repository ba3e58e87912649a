// RMSNorm: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/rms_norm/rms_norm.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

enum class Residual { none, planed, value_only };

struct RmsNormRow {
  const char* name;
  std::vector<int64_t> sizes;
  Residual residual;
};

Case rms_norm_case(const RmsNormRow& row, int64_t P) {
  Case c = new_case(fmt::format("rms_norm_{}", row.name), P);
  Inputs in(c);
  in.planed(row.sizes);
  in.wide(in.normal({row.sizes.back()}) * 0.3 + 1);
  if (row.residual == Residual::planed) in.planed(row.sizes);
  if (row.residual == Residual::value_only) in.slow(in.normal(row.sizes));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    switch (row.residual) {
      case Residual::none: return {ops::rms_norm(x[0], slow[0], kEps)};
      case Residual::planed: return {ops::add_rms_norm(x[1], x[0], slow[0], kEps)};
      case Residual::value_only: break;
    }
    return {ops::add_rms_norm(slow[1].unsqueeze(0), x[0], slow[0], kEps)};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const Tensor y = plain_norm(x[0], slow[0]);
    if (row.residual == Residual::none) return {y};
    return {y + (row.residual == Residual::planed ? x[1] : slow[1])};
  };
  return c;
}

const RmsNormRow kRmsNormRows[] = {
    {"one_token", {1, 8}, Residual::none},      {"odd", {5, 33}, Residual::none},
    {"residual", {2, 3, 64}, Residual::planed}, {"residual_value_only", {7, 100}, Residual::value_only},
    {"many_rows", {130, 17}, Residual::planed}, {"wide", {3, 2056}, Residual::planed},
};

struct NormInputs {
  Tensor x, w, residual;
  explicit NormInputs(at::ScalarType type)
      : x(at::ones({2, 3, 8}, type)),
        w(at::ones({8}, ops::accumulate_type(type))),
        residual(at::ones({1, 3, 8}, type)) {}
  void run() const {
    ops::rms_norm(x, w, 1e-6);
    ops::add_rms_norm(residual, x, w, 1e-6);
  }
};
TEST(Refused, norms) {
  expect_refused<NormInputs>({
      {"a scale of another width", [](auto& in) { in.w = at::ones({7}, in.w.options()); }},
      {"a scale in half precision", [](auto& in) { in.w = in.w.to(at::kHalf); }},
      {"three planes", [](auto& in) { in.x = at::ones({3, 3, 8}, in.x.options()); }},
      {"a residual of fewer rows", [](auto& in) { in.residual = in.residual.narrow(1, 0, 2); }},
      {"a residual with a tangent, of a value", [](auto& in) { in.residual = in.x, in.x = in.x.narrow(0, 0, 1); }},
      {"a residual of another type", [](auto& in) { in.residual = in.residual.to(at::kHalf); }},
  });
}

}  // namespace

std::vector<Case> rms_norm_cases(int64_t P) {
  std::vector<Case> cases;
  for (const auto& row : kRmsNormRows) cases.push_back(rms_norm_case(row, P));
  return cases;
}

}  // namespace ingrain::test
