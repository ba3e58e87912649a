#include "base/interval.h"

#include <cmath>
#include <limits>

namespace ingrain {

double t_quantile(int64_t degrees) {
  if (degrees <= 2) return degrees < 2 ? 12.7062047 : 4.3026527;
  // The normal distribution's point and the first terms of the expansion in 1 / degrees (Cornish and Fisher).
  const double z = 1.959963985, z2 = z * z, n = static_cast<double>(degrees);
  const double first = (z2 + 1) * z / 4, second = ((5 * z2 + 16) * z2 + 3) * z / 96;
  const double third = (((3 * z2 + 19) * z2 + 17) * z2 - 15) * z / 384;
  const double fourth = ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) * z / 92160;
  return z + (first + (second + (third + fourth / n) / n) / n) / n;
}

MeanInterval mean_interval(std::span<const double> values) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double sum = 0, squares = 0;
  int64_t count = 0;
  for (const double x : values)
    if (std::isfinite(x)) sum += x, ++count;
  if (count == 0) return {kNone, kNone, 0};
  const double n = static_cast<double>(count), mean = sum / n;
  if (count == 1) return {mean, kNone, 1};
  for (const double x : values)
    if (std::isfinite(x)) squares += (x - mean) * (x - mean);
  return {mean, t_quantile(count - 1) * std::sqrt(squares / (n - 1) / n), count};
}

}  // namespace ingrain
