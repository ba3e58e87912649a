// Products with quantized matrices: what is refused.
#include "ops_refusals.h"

#include "ops/checks.h"
#include "ops/quantized/quantized.h"

namespace ingrain::test {
namespace {

struct QuantizedInputs {
  Tensor a, quantized;
  int64_t first = 0, rows = 16;
  explicit QuantizedInputs(at::ScalarType type)
      : a(at::ones({2, 64}, type)), quantized(ops::quantize(at::ones({32, 64}, type), ops::q4_1)) {}
  void run() const {
    ops::quantized_nt(a, quantized);
    ops::dequantize(quantized);
    ops::dequantize_rows(quantized, first, rows);
    ops::rows_of(quantized, first, rows);
    ops::quantized_lookup(quantized, at::full({1}, first + rows, at::kLong));
  }
};
TEST(Refused, quantized_products) {
  expect_refused<QuantizedInputs>(
      {
          {"other columns", [](auto& in) { in.a = in.a.narrow(1, 0, 32); }},
          {"a type without kernels", [](auto& in) { in.a = in.a.to(at::kDouble); }},
          {"a batch", [](auto& in) { in.a = in.a.unsqueeze(0); }},
          {"what is not quantized", [](auto& in) { in.quantized = at::ones({32, 64}); }},
          {"part of a group", [](auto& in) { in.rows = 8; }},
          {"rows behind the last", [](auto& in) { in.first = 32; }},
          {"the row behind the last", [](auto& in) { in.first = 16; }},
      },
      {at::kFloat, at::kBFloat16});
  EXPECT_THROW(ops::quantize(at::ones({16, 40}), ops::q4_1), c10::Error) << "part of a block";
  EXPECT_THROW(ops::quantize(at::ones({24, 32}), ops::q4_1), c10::Error) << "part of a group";
  EXPECT_THROW(ops::quantize(at::ones({32}), ops::q8_0), c10::Error) << "no matrix";
  EXPECT_THROW(ops::quantize(at::ones({1, 256}), *ops::format_of_file(12, 1)), c10::Error) << "of files alone";
  const Tensor bytes = at::zeros({16, 40}, at::kByte);
  EXPECT_NO_THROW(ops::quantized_matrix({{&ops::q4_1, bytes}}, 64, at::kFloat));
  EXPECT_THROW(ops::quantized_matrix({{&ops::q4_1, bytes}}, 96, at::kFloat), c10::Error) << "part of a row";
  EXPECT_THROW(ops::quantized_matrix({{&ops::q4_1, bytes.narrow(0, 0, 8)}}, 64, at::kFloat), c10::Error);
  EXPECT_THROW(ops::quantized_matrix({{&ops::q4_1, bytes}}, 64, at::kDouble), c10::Error);
  EXPECT_THROW(ops::quantized_matrix({}, 64, at::kFloat), c10::Error);
}

}  // namespace

}  // namespace ingrain::test
