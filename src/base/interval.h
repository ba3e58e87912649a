// A mean, and how far it can be trusted.
#pragma once

#include <cstdint>
#include <span>

namespace ingrain {

/// The mean of independent values, and half of its 95 % interval by Student's t.
struct MeanInterval {
  double mean;    // NaN of no value
  double half;    // NaN of fewer than two
  int64_t count;  // of finite values
};

/// Of the finite ones among `values`.
MeanInterval mean_interval(std::span<const double> values);

/// The 97.5 % point of Student's t; degrees >= 1.
double t_quantile(int64_t degrees);

}  // namespace ingrain
