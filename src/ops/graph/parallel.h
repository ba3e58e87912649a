// How the CPU kernels spread their work over libtorch's threads. A call from inside a parallel region runs inline.
#pragma once

#include "ops/graph/capture.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

namespace ingrain::ops::cpu {

/// How many rows make a task worth starting: some ten microseconds of work.
inline int64_t grain(int64_t elements_per_row) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, elements_per_row));
}

/// A kernel: `run(begin, end)` for 0 .. items, at least `grain` at a time. It is captured where the calling thread's
/// work is (capture.h), so that `run` holds by value what it needs, and points only at what `operands` keep alive.
template <class Run>
void parallel(std::initializer_list<Tensor> operands, int64_t items, int64_t grain, const Run& run) {
  if (Capture* const capture = Capture::current()) capture->add(operands, items, grain, run);
  at::parallel_for(0, items, grain, run);
}

/// The same for a kernel that may point at what is gone later: work with it is not captured.
template <class Run>
void parallel_uncaptured(int64_t items, int64_t grain, const Run& run) {
  refuse_capture("a kernel that is not captured");
  at::parallel_for(0, items, grain, run);
}

/// Tasks of unequal size: every thread takes the next one, with `scratch_floats` of memory of its own.
/// `run(task, scratch)` must not depend on which thread runs it.
template <class Run>
void for_each_task(int64_t tasks, int64_t scratch_floats, const Run& run) {
  const int64_t workers = std::clamp<int64_t>(tasks, 1, at::get_num_threads());
  const Tensor scratch = at::empty({workers, scratch_floats}, at::kFloat);
  std::atomic<int64_t> next{0};
  parallel_uncaptured(workers, 1, [&](int64_t worker, int64_t) {
    float* const mine = scratch.data_ptr<float>() + worker * scratch_floats;
    for (int64_t task = next++; task < tasks; task = next++) run(task, mine);
  });
}

/// Sums that many rows contribute to: every slice of rows adds into its own copy, and the copies are added in order,
/// so that the result depends on the number of threads only.
/// `run(slice_begin, slice_end, sums)`: sums is zeroed, [width].
template <class Run>
Tensor sum_over_slices(int64_t rows, int64_t width, const Run& run) {
  const int64_t slices =
      std::clamp<int64_t>(at::in_parallel_region() ? 1 : at::get_num_threads(), 1, std::max<int64_t>(rows, 1));
  const Tensor partial = at::zeros({slices, width}, at::kFloat);
  parallel_uncaptured(slices, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s)
      run(rows * s / slices, rows * (s + 1) / slices, partial.data_ptr<float>() + s * width);
  });
  return slices == 1 ? partial[0] : partial.sum(0);
}

}  // namespace ingrain::ops::cpu
