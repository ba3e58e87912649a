#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingrain::train {

double Schedule::at(int64_t step) const {
  if (step < warmup) return initial + (peak - initial) * static_cast<double>(step) / static_cast<double>(warmup);
  const double length = static_cast<double>(std::max<int64_t>(1, steps - warmup));
  const double done = std::min(1.0, static_cast<double>(step - warmup) / length);
  return end + (peak - end) * (1 + std::cos(std::numbers::pi * done)) / 2;
}

double InnerRateWarmup::multiplier(int64_t step) const {
  if (warmup <= 0 || inner_lr == 0) return 1;
  const double done = std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(warmup));
  return (initial + (inner_lr - initial) * done) / inner_lr;
}

}  // namespace ingrain::train
