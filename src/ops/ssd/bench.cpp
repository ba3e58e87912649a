// Rows of Mamba-2's recurrence: heads of 64, as many as twice the shape's width has, with a state of 128.
#include "bench/ops/row.h"
#include "ops/ssd/ssd.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

constexpr int64_t kSsdState = 128, kSsdHead = 64;

ops::SsdInputs ssd_inputs(const OpsInputs& in, int64_t T, int64_t H) {
  const auto random = [&] { return in.random({1, T, 1, kSsdState}); };
  return {in.random({1, T, H, kSsdHead}),
          in.random_fp32({1, T, H}).abs(),
          -in.random_fp32({H}).abs(),
          random(),
          random(),
          in.random_fp32({H}),
          in.random_fp32({1, H, kSsdState, kSsdHead})};
}

}  // namespace

void ssd_rows(const OpsRows& to) {
  if (to.shape.T > 1024) return;
  const int64_t T = to.shape.T, H = std::max<int64_t>(2 * to.shape.D / kSsdHead, 1);
  const auto sizes = fmt::format("{}xH{}d{}", T, H, kSsdHead);
  const double state = static_cast<double>(H * kSsdState * kSsdHead);
  if (to.is(OpsShape::Pass::token)) {
    // The state is read and written.
    to.add("ssd", 1, "step", sizes, {4 * state, 8 * state}, [=](const OpsInputs& in) {
      const ops::SsdInputs x = ssd_inputs(in, T, H);
      return of_kernels(x.x_BTHV, ops::ssd_reference, ops::ssd_cpu, ops::ssd_cuda,
                        [=](const auto& k) { k.recurrent(x); });
    });
    return;
  }
  // In chunks of 64: all heads share c with b; each has the chunk's values and two products with the state.
  const double work =
      2.0 * static_cast<double>(T) * (64.0 * kSsdState + 64.0 * static_cast<double>(H * kSsdHead) + 2 * state);
  to.add("ssd", 1, "forward", sizes, {work, 0}, [=](const OpsInputs& in) {
    const ops::SsdInputs x = ssd_inputs(in, T, H);
    const Run ours = [=] { ops::ssd(x); };
    return Contenders{ours, by_reference(ours)};
  });
}

}  // namespace ingrain::bench
