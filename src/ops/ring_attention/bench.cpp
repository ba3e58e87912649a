// Rows of attention over a ring.
#include "bench/ops/row.h"
#include "ops/ring_attention/ring_attention.h"

#include <cmath>

namespace ingrain::bench {
namespace {

using namespace ops;

}  // namespace

/// One sequence, and eight that write in one pass, each at a position of its own.
void ring_attention_rows(const OpsRows& to) {
  const OpsShape s = to.shape;
  if (!to.is(OpsShape::Pass::token)) return;
  const double scale = 1 / std::sqrt(static_cast<double>(s.d));
  for (const int64_t B : {1, 8}) {
    const std::string batch = B == 1 ? "" : fmt::format("B{}x", B);
    const double token = to.bytes(B * s.H * s.d), keys = to.bytes(2 * B * s.window * s.G * s.d);
    const double flops = 4.0 * static_cast<double>(B * s.window * s.H * s.d);
    const auto positions = [=](const OpsInputs& in) {
      return at::arange(2 * s.window, 2 * s.window + 7 * B, 7, in.options().dtype(at::kLong));
    };
    const auto ring = [=](const OpsInputs& in) { return in.random({B, s.window, s.G, s.d}); };
    to.add("ring_attention", 1, "forward", fmt::format("{}{}xH{}G{}d{}", batch, s.window, s.H, s.G, s.d),
           {flops, 2 * token + keys}, [=](const OpsInputs& in) {
             const Tensor q = in.random({B, s.H, s.d}), k = ring(in), v = ring(in);
             return of_kernels(q, ring_reference, ring_cpu, ring_cuda,
                               [=, newest_B = positions(in)](const auto& kernels) {
                                 kernels.attend(q, k, v, newest_B, s.window, scale, {});
                               });
           });
    to.add(
        "ring_store", 1, "forward", fmt::format("{}{}xG{}d{}", batch, s.window, s.G, s.d),
        {0, to.bytes(4 * B * s.G * s.d)}, [=](const OpsInputs& in) {
          const Tensor k_new = in.random({B, s.G, s.d}), v_new = in.random({B, s.G, s.d}), k = ring(in), v = ring(in);
          return of_kernels(k, ring_reference, ring_cpu, ring_cuda, [=, newest_B = positions(in)](const auto& kernels) {
            kernels.store(k_new, v_new, k, v, newest_B);
          });
        });
  }
}

}  // namespace ingrain::bench
