// Rows of products with quantized matrices.
#include "bench/ops/matrix.h"
#include "ops/linear/products.h"
#include "ops/quantized/quantized.h"

namespace ingrain::bench {
namespace {

using namespace ops;

/// m: several sequences.
void add_quantized_product(const OpsRows& to, const QuantizedFormat& format, int64_t m, const Matrix& w) {
  if (!can_quantize({w.rows, w.columns}, format)) return;
  const double bytes = static_cast<double>(w.rows * w.columns / kQuantizedBlock * format.bytes);
  const OpsWork work{product_flops(m, w), bytes + to.bytes(m * (w.columns + w.rows))};
  to.add(format.name, 1, "nt", sizes_of(m, w), work, [=, &format](const OpsInputs& in) {
    const Tensor x = in.random({m, w.columns}), full = in.random({w.rows, w.columns}),
                 quantized = quantize(full, format);
    return Contenders{[=] { quantized_nt(x, quantized); }, [=] { product_nt(x, full); }, [=] { at::mm(x, full.t()); }};
  });
}

/// A file's own blocks, of any numbers: what they are does not matter for the time.
void add_stored_product(const OpsRows& to, const QuantizedFormat& format, int64_t m, const Matrix& w) {
  if (w.columns % format.block != 0) return;
  const int64_t row = row_bytes(format, w.columns);
  const OpsWork work{product_flops(m, w), static_cast<double>(w.rows * row) + to.bytes(m * (w.columns + w.rows))};
  to.add(fmt::format("file {}", format.name), 1, "nt", sizes_of(m, w), work, [=, &format](const OpsInputs& in) {
    constexpr int64_t kLargestByte = 0x3c;  // scales of half precision are finite
    const Tensor x = in.random({m, w.columns}), full = in.random({w.rows, w.columns}),
                 bytes = at::randint(0, kLargestByte, {w.rows, row}, at::kByte),
                 stored = quantized_matrix({{&format, bytes}}, w.columns, in.type);
    return Contenders{[=] { quantized_nt(x, stored); }, [=] { product_nt(x, full); }, [=] { at::mm(x, full.t()); }};
  });
}

}  // namespace

void quantized_rows(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::token) || !to.on_cpu()) return;
  std::vector<Matrix> all = matrices(s);
  all.push_back({s.V, s.D});
  for (const QuantizedFormat* format : kQuantizedFormats)
    for (const Matrix& w : all)
      for (const int64_t m : {1, 8, 16, 64}) add_quantized_product(to, *format, m, w);
  // Q4_0, Q5_0, Q5_1, Q8_0; Q2_K to Q6_K; IQ4_NL, IQ4_XS, IQ3_S.
  for (const uint32_t type : {2, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 21})
    for (const Matrix& w : all) add_stored_product(to, *format_of_file(type, w.rows), 1, w);
}

}  // namespace ingrain::bench
