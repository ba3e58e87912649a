// Products with quantized matrices: what is refused.
#include "ops_refusals.h"

#include "ops/checks.h"
#include "ops/quantized/quantized.h"

namespace ingrain::test {
namespace {

struct QuantizedInputs {
  Tensor a, quantized;
  explicit QuantizedInputs(at::ScalarType type)
      : a(at::ones({2, 64}, type)), quantized(ops::quantize(at::ones({16, 64}), ops::q4_1)) {}
  void run() const {
    ops::quantized_nt(a, quantized);
    ops::dequantize(quantized);
  }
};
TEST(Refused, quantized_products) {
  expect_refused<QuantizedInputs>(
      {
          {"other columns", [](auto& in) { in.a = in.a.narrow(1, 0, 32); }},
          {"a type without kernels", [](auto& in) { in.a = in.a.to(at::kDouble); }},
          {"a batch", [](auto& in) { in.a = in.a.unsqueeze(0); }},
          {"what is not quantized", [](auto& in) { in.quantized = at::ones({16, 64}); }},
          {"part of a group", [](auto& in) { in.quantized = in.quantized.narrow(0, 0, 8); }},
          {"part of a row", [](auto& in) { in.quantized = in.quantized.narrow(1, 0, 20); }},
          {"part of a block", [](auto& in) { in.quantized = in.quantized.narrow(1, 0, 21).contiguous(); }},
      },
      {at::kFloat, at::kBFloat16});
  EXPECT_THROW(ops::quantize(at::ones({16, 40}), ops::q4_1), c10::Error) << "part of a block";
  EXPECT_THROW(ops::quantize(at::ones({24, 32}), ops::q4_1), c10::Error) << "part of a group";
  EXPECT_THROW(ops::quantize(at::ones({32}), ops::q8_0), c10::Error) << "no matrix";
}

}  // namespace

}  // namespace ingrain::test
