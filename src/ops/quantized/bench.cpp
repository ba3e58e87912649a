// Rows of products with quantized matrices.
#include "bench/ops/matrix.h"
#include "ops/linear/products.h"
#include "ops/quantized/quantized.h"

namespace ingrain::bench {
namespace {

using namespace ops;

}  // namespace

void quantized_rows(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::token) || !to.on_cpu()) return;
  std::vector<Matrix> all = matrices(s);
  all.push_back({s.V, s.D});
  for (const QuantizedFormat* format : kQuantizedFormats) {
    for (const Matrix& w : all) {
      if (!can_quantize({w.rows, w.columns}, *format)) continue;
      const double bytes = static_cast<double>(w.rows * w.columns / kQuantizedBlock * format->bytes);
      const OpsWork work{product_flops(1, w), bytes + to.bytes(w.columns + w.rows)};
      to.add(format->name, 1, "nt", sizes_of(1, w), work, [=](const OpsInputs& in) {
        const Tensor x = in.random({1, w.columns}), full = in.random({w.rows, w.columns}),
                     quantized = quantize(full, *format);
        return Contenders{[=] { quantized_nt(x, quantized); }, [=] { product_nt(x, full); },
                          [=] { at::mm(x, full.t()); }};
      });
    }
  }
}

}  // namespace ingrain::bench
