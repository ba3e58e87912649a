// The gate: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/swiglu/swiglu.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

Case swiglu_case(const char* name, const std::vector<int64_t>& sizes, int64_t P) {
  Case c = new_case(fmt::format("swiglu_{}", name), P);
  Inputs(c).planed(sizes, 2);
  c.engine = [](const Tensors& x, const Tensors&) -> Tensors { return {ops::swiglu(x[0])}; };
  c.formula = [](const Tensors& x, const Tensors&) -> Tensors {
    const auto halves = x[0].chunk(2, -1);
    return {at::silu(halves[0]) * halves[1]};
  };
  return c;
}

struct SwigluInputs {
  Tensor ab;
  explicit SwigluInputs(at::ScalarType type) : ab(at::ones({2, 3, 8}, type)) {}
  void run() const { ops::swiglu(ab); }
};
TEST(Refused, gates) {
  expect_refused<SwigluInputs>({
      {"an odd width", [](auto& in) { in.ab = in.ab.narrow(2, 0, 7); }},
      {"no planes", [](auto& in) { in.ab = in.ab[0][0]; }},
      {"three planes", [](auto& in) { in.ab = in.ab.transpose(0, 1); }},
  });
}

}  // namespace

std::vector<Case> swiglu_cases(int64_t P) {
  std::vector<Case> cases;
  cases.push_back(swiglu_case("one_token", {1, 6}, P));
  cases.push_back(swiglu_case("odd", {2, 5, 46}, P));
  cases.push_back(swiglu_case("many_rows", {1, 70, 66}, P));
  cases.push_back(swiglu_case("wide", {3, 4112}, P));
  return cases;
}

}  // namespace ingrain::test
