// The gate: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/swiglu/swiglu.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

Case gate_case(const char* name, const std::vector<int64_t>& sizes, int64_t P, ops::Gate gate) {
  Case c = new_case(fmt::format("{}_{}", gate == ops::Gate::silu ? "swiglu" : "geglu", name), P);
  Inputs(c).planed(sizes, 2);
  c.engine = [gate](const Tensors& x, const Tensors&) -> Tensors { return {ops::swiglu(x[0], gate)}; };
  c.formula = [gate](const Tensors& x, const Tensors&) -> Tensors {
    const auto halves = x[0].chunk(2, -1);
    const Tensor f = gate == ops::Gate::silu ? at::silu(halves[0]) : at::gelu(halves[0], "tanh");
    return {f * halves[1]};
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
  for (const ops::Gate gate : {ops::Gate::silu, ops::Gate::gelu_tanh}) {
    cases.push_back(gate_case("one_token", {1, 6}, P, gate));
    cases.push_back(gate_case("odd", {2, 5, 46}, P, gate));
    cases.push_back(gate_case("many_rows", {1, 70, 66}, P, gate));
    cases.push_back(gate_case("wide", {3, 4112}, P, gate));
  }
  return cases;
}

}  // namespace ingrain::test
