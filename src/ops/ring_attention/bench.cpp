// Rows of attention over a ring.
#include "bench/ops/row.h"
#include "ops/ring_attention/ring_attention.h"

#include <cmath>

namespace ingrain::bench {
namespace {

using namespace ops;

}  // namespace

void ring_attention_rows(const OpsRows& to) {
  const OpsShape s = to.shape;
  if (!to.is(OpsShape::Pass::token)) return;
  const double scale = 1 / std::sqrt(static_cast<double>(s.d)), token = to.bytes(s.H * s.d),
               keys = to.bytes(2 * s.window * s.G * s.d);
  const double flops = 4.0 * static_cast<double>(s.window * s.H * s.d);
  const auto position = [](const OpsInputs& in, int64_t at) {
    return at::full({1}, at, in.options().dtype(at::kLong));
  };
  to.add("ring_attention", 1, "forward", fmt::format("{}xH{}G{}d{}", s.window, s.H, s.G, s.d),
         {flops, 2 * token + keys}, [=](const OpsInputs& in) {
           const Tensor q = in.random({1, s.H, s.d}), k = in.random({1, s.window, s.G, s.d}),
                        v = in.random({1, s.window, s.G, s.d});
           return of_kernels(q, ring_reference, ring_cpu, ring_cuda,
                             [=, newest = position(in, 2 * s.window)](const auto& kernels) {
                               kernels.attend(q, k, v, newest, s.window, scale);
                             });
         });
  to.add("ring_store", 1, "forward", fmt::format("{}xG{}d{}", s.window, s.G, s.d), {0, to.bytes(4 * s.G * s.d)},
         [=](const OpsInputs& in) {
           const Tensor k_new = in.random({1, s.G, s.d}), v_new = in.random({1, s.G, s.d});
           const Tensor k = in.random({1, s.window, s.G, s.d}), v = in.random({1, s.window, s.G, s.d});
           return of_kernels(k, ring_reference, ring_cpu, ring_cuda,
                             [=, newest = position(in, 2 * s.window)](const auto& kernels) {
                               kernels.store(k_new, v_new, k, v, newest);
                             });
         });
}

}  // namespace ingrain::bench
