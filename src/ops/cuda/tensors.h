// From a tensor to what a CUDA kernel is told of it.
#pragma once

#include "ops/cuda/types.h"
#include "ops/checks.h"

namespace ingrain::ops::cuda {

using ops::number;

inline Tensor contiguous(const Tensor& x) { return x.defined() ? x.contiguous() : x; }
inline const float* floats(const Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }

}  // namespace ingrain::ops::cuda
