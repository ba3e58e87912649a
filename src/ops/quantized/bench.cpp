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

}  // namespace

void quantized_rows(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::token) || !to.on_cpu()) return;
  std::vector<Matrix> all = matrices(s);
  all.push_back({s.V, s.D});
  for (const QuantizedFormat* format : kQuantizedFormats)
    for (const Matrix& w : all)
      for (const int64_t m : {1, 8, 16, 64}) add_quantized_product(to, *format, m, w);
}

}  // namespace ingrain::bench
