// Products with few rows: what is refused.
#include "ops_refusals.h"

#include "ops/checks.h"
#include "ops/gemv/gemv.h"

namespace ingrain::test {
namespace {

struct GemvInputs {
  Tensor a, b;
  explicit GemvInputs(at::ScalarType type) : a(at::ones({2, 1, 8}, type)), b(at::ones({2, 5, 8}, type)) {}
  void run() const { ops::gemv_nt(a, b); }
};
TEST(Refused, gemv) {
  expect_refused<GemvInputs>(
      {
          {"other columns", [](auto& in) { in.b = in.b.narrow(2, 0, 7); }},
          {"fewer batch entries", [](auto& in) { in.b = in.b.narrow(0, 0, 1); }},
          {"one matrix for a batch", [](auto& in) { in.b = in.b[0]; }},
          {"many rows", [](auto& in) { in.a = at::ones({2, 100, 8}, in.a.options()); }},
          {"rows that are columns", [](auto& in) { in.b = at::ones({2, 8, 5}, in.b.options()).transpose(1, 2); }},
          {"a type without kernels", [](auto& in) { in.a = in.a.to(at::kDouble), in.b = in.b.to(at::kDouble); }},
      },
      {at::kFloat, at::kBFloat16});
}

}  // namespace

}  // namespace ingrain::test
