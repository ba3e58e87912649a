// How far two tensors are apart.
#pragma once

#include "ops/dual.h"

namespace ingrain::test {

/// The largest difference of two numbers.
inline double max_difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace ingrain::test
