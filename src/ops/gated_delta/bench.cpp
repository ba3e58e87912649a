// Rows of the gated delta rule: heads of 128 by 128, as many as the shape's width has.
#include "bench/ops/row.h"
#include "ops/gated_delta/gated_delta.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

struct DeltaInputs {
  Tensor q, k, v, g, beta, state;
  DeltaInputs(const OpsInputs& in, int64_t T, int64_t H, int64_t d) {
    const auto rows = [&] { return in.random({1, T, H, d}); };
    q = rows(), k = rows() / 4, v = rows();
    g = -in.random_fp32({1, T, H}).abs(), beta = in.random_fp32({1, T, H}).sigmoid();
    state = in.random_fp32({1, H, d, d});
  }
};

}  // namespace

void gated_delta_rows(const OpsRows& to) {
  constexpr int64_t d = 128;
  if (to.shape.T > 1024) return;
  const int64_t T = to.shape.T, H = std::max<int64_t>(to.shape.D / d, 1);
  const auto sizes = fmt::format("{}xH{}d{}", T, H, d);
  const double state = 4.0 * static_cast<double>(H * d * d);
  if (to.is(OpsShape::Pass::token)) {
    // The state is read and written twice, the second time from the caches.
    to.add("gated_delta", 1, "step", sizes, {6.0 * static_cast<double>(H * d * d), 2 * state},
           [=](const OpsInputs& in) {
             const DeltaInputs x(in, T, H, d);
             return of_kernels(x.q, ops::gated_delta_reference, ops::gated_delta_cpu, ops::gated_delta_cuda,
                               [=](const auto& k) { k.recurrent(x.q, x.k, x.v, x.g, x.beta, x.state, 0.1); });
           });
    return;
  }
  // In chunks of 64: keys with keys, queries with keys, three products with the state.
  const double work = static_cast<double>(T * H) * (3.0 * d * d + 2.0 * 64 * d);
  to.add("gated_delta", 1, "forward", sizes, {work, 0}, [=](const OpsInputs& in) {
    const DeltaInputs x(in, T, H, d);
    const Run ours = [=] { ops::gated_delta(x.q, x.k, x.v, x.g, x.beta, x.state, 0.1); };
    return Contenders{ours, by_reference(ours)};
  });
}

}  // namespace ingrain::bench
