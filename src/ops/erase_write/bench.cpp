// Rows of the delta rule with erasing and writing apart: heads of 128 by 128, as many as the shape's width has.
#include "bench/ops/row.h"
#include "ops/erase_write/erase_write.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

ops::EraseWriteInputs erase_write_inputs(const OpsInputs& in, int64_t T, int64_t H, int64_t d) {
  const auto rows = [&] { return in.random({1, T, H, d}); };
  return {.q_BTHK = rows(),
          .k_BTHK = rows() / 4,
          .e_BTHK = rows() / 4,
          .w_BTHV = rows(),
          .g_BTHK = -in.random_fp32({1, T, H, d}).abs(),
          .state_BHKV = in.random_fp32({1, H, d, d}),
          .scale = 0.1};
}

}  // namespace

void erase_write_rows(const OpsRows& to) {
  constexpr int64_t d = 128;
  if (to.shape.T > 1024) return;
  const int64_t T = to.shape.T, H = std::max<int64_t>(to.shape.D / d, 1);
  const auto sizes = fmt::format("{}xH{}d{}", T, H, d);
  if (to.is(OpsShape::Pass::token)) {
    // The state is read and written twice, the second time from the caches.
    const double numbers = static_cast<double>(H * d * d);
    to.add("erase_write", 1, "step", sizes, {6 * numbers, 8 * numbers}, [=](const OpsInputs& in) {
      const ops::EraseWriteInputs x = erase_write_inputs(in, T, H, d);
      return of_kernels(x.q_BTHK, ops::erase_write_reference, ops::erase_write_cpu, ops::erase_write_cuda,
                        [=](const auto& k) { k.recurrent(x); });
    });
    return;
  }
  // In chunks of 16: keys with keys and queries with keys, channel by channel; three products with the state.
  const double work = static_cast<double>(T * H) * (3.0 * d * d + 4.0 * 16 * d);
  to.add("erase_write", 1, "forward", sizes, {work, 0}, [=](const OpsInputs& in) {
    const ops::EraseWriteInputs x = erase_write_inputs(in, T, H, d);
    const Run ours = [=] { ops::erase_write(x); };
    return Contenders{ours, by_reference(ours)};
  });
}

}  // namespace ingrain::bench
