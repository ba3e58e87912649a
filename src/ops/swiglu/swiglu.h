// The gate of a gated MLP: u = f(a) * b, where a | b is the output of one product with the stacked w1 | w3, and f is
// silu (SwiGLU) or GELU by tanh (GeGLU).
#pragma once

#include "ops/dual.h"
#include "ops/swiglu/call.h"

namespace ingrain::ops {

/// ab: [P, ..., 2F] contiguous, a the first half. Returns u: [P, ..., F]. Differentiable once. Throws c10::Error for
/// any other shape.
Tensor swiglu(const Tensor& ab, Gate gate = Gate::silu);

struct SwigluKernels {
  Tensor (*forward)(const Tensor& ab, Gate gate);
  Tensor (*backward)(const Tensor& gu, const Tensor& ab, Gate gate);
};
extern const SwigluKernels swiglu_reference, swiglu_cpu, swiglu_cuda;

}  // namespace ingrain::ops
