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
struct SharedGemvInputs : GemvInputs {
  Tensor b_of_a = at::zeros({2}, at::kLong);
  using GemvInputs::GemvInputs;
  void run() const { ops::gemv_nt_shared(a, b, b_of_a); }
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
TEST(Refused, shared_gemv) {
  expect_refused<SharedGemvInputs>(
      {
          {"no batch", [](auto& in) { in.a = in.a[0], in.b = in.b[0]; }},
          {"other columns", [](auto& in) { in.b = in.b.narrow(2, 0, 7); }},
          {"fewer that say whose", [](auto& in) { in.b_of_a = at::zeros({1}, at::kLong); }},
          {"int32", [](auto& in) { in.b_of_a = in.b_of_a.to(at::kInt); }},
          {"a type without kernels", [](auto& in) { in.a = in.a.to(at::kDouble), in.b = in.b.to(at::kDouble); }},
      },
      {at::kFloat, at::kBFloat16});
}

}  // namespace

}  // namespace ingrain::test
