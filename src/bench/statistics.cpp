#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingrain::bench {
namespace {

/// How many of n sorted values may be cut off at each end so that the median of what they are drawn from still lies
/// between the rest with a probability of 95%: the number of values below it is that of heads among n tosses.
size_t cut_off(size_t n) {
  const double count = static_cast<double>(n);
  double tail = 0;
  for (size_t heads = 0; heads < n; ++heads) {
    const double k = static_cast<double>(heads);
    tail +=
        std::exp(std::lgamma(count + 1) - std::lgamma(k + 1) - std::lgamma(count - k + 1) - count * std::numbers::ln2);
    if (tail > 0.025) return heads > 0 ? heads - 1 : 0;
  }
  return 0;
}

}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return values.size() % 2 == 1 ? *middle : (*std::max_element(values.begin(), middle) + *middle) / 2;
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::clamp(rank - 1, 0.0, static_cast<double>(values.size() - 1)))];
}

Ratio paired_ratio(const Blocks& a, const Blocks& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(median(b[i]) / median(a[i]));
  std::sort(ratios.begin(), ratios.end());
  const size_t cut = cut_off(ratios.size());
  return {median(ratios), ratios[cut], ratios[ratios.size() - 1 - cut]};
}

}  // namespace ingrain::bench
