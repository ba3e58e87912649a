// The gate of SwiGLU: u = silu(a) * b, where a | b is the output of one product with the stacked w1 | w3.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// ab: [P, ..., 2F] contiguous, a the first half. Returns u: [P, ..., F]. Differentiable once. Throws c10::Error for
/// any other shape.
Tensor swiglu(const Tensor& ab);

struct SwigluKernels {
  Tensor (*forward)(const Tensor& ab);
  Tensor (*backward)(const Tensor& gu, const Tensor& ab);
};
extern const SwigluKernels swiglu_reference, swiglu_cpu, swiglu_cuda;

}  // namespace ingrain::ops
