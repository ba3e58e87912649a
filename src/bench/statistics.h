// Medians, quantiles, and how far a ratio of two medians can be trusted.
#pragma once

#include <cstddef>
#include <vector>

namespace ingrain::bench {

/// REQUIRES: not empty. The mean of the middle two for an even number.
double median(std::vector<double> values);
/// The smallest value that at least `share` (0 to 1) of the values do not exceed. REQUIRES: not empty.
double quantile(std::vector<double> values, double share);

/// What was measured of two things in turn: block i of both at the same time, so that a disturbance hits both.
using Blocks = std::vector<std::vector<double>>;

struct Ratio {
  double value = 0;          // the median over blocks of: the median of b's values by the median of a's
  double low = 0, high = 0;  // it lies between these with a probability of at least 95%
};
/// The interval is the sign test's: it supposes nothing of how the noise is distributed.
/// REQUIRES: as many blocks of both, at least kLeastBlocks for the interval to be one (with fewer: the least and the
/// greatest ratio), none empty.
Ratio paired_ratio(const Blocks& a, const Blocks& b);
constexpr size_t kLeastBlocks = 6;

}  // namespace ingrain::bench
