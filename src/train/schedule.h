// Learning rates over the outer loop (docs/training.md).
#pragma once

#include <cstdint>

namespace ingrain::train {

/// Linear warm-up from `initial` to `peak` over `warmup` steps, then a cosine down to `end` at step `steps`.
/// Step counts from 0; with initial = 0 the very first step moves nothing.
struct Schedule {
  double initial = 0, peak = 1e-3, end = 1e-5;
  int64_t warmup = 0, steps = 1;

  double at(int64_t step) const;
};

/// The inner rate's warm-up, eta(s) = initial + (inner_lr - initial) min(1, (s + 1) / warmup), as a multiplier of
/// inner_lr.
struct InnerRateWarmup {
  double initial = 1, inner_lr = 1;
  int64_t warmup = 0;

  double multiplier(int64_t step) const;
};

}  // namespace ingrain::train
