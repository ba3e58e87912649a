// From a tensor to what a CUDA kernel is told of it.
#pragma once

#include "ops/cuda/types.h"
#include "ops/dual.h"

namespace ingrain::ops::cuda {

inline Number number(const Tensor& x) { return x.scalar_type() == at::kFloat ? Number::fp32 : Number::bf16; }

inline Tensor contiguous(const Tensor& x) { return x.defined() ? x.contiguous() : x; }
inline const float* floats(const Tensor& x) { return x.defined() ? x.const_data_ptr<float>() : nullptr; }

}  // namespace ingrain::ops::cuda
