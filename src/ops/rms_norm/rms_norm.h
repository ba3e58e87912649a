// RMSNorm, with or without a residual: y = residual + w * x / sqrt(mean(x^2) + eps).
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// x: [P, ..., D] contiguous, P = 1 or 2. w: [D], fp32 (fp64 if x is): it is slow, its tangent is zero.
/// Statistics in fp32; the norm is rounded to x's type, and so is its sum with a residual. Differentiable once in x and
/// w. Both throw c10::Error where shapes, types or devices do not fit.
Tensor rms_norm(const Tensor& x, const Tensor& w_D, double eps);

/// residual + rms_norm(x). residual: [P or 1, ..., D], x's type; a missing plane counts as zero.
Tensor add_rms_norm(const Tensor& residual, const Tensor& x, const Tensor& w_D, double eps);

struct RmsNormKernels {
  /// residual may be undefined. Returns y, like x.
  Tensor (*forward)(const Tensor& residual, const Tensor& x_PND, const Tensor& w_D, double eps);
  struct Gradients {
    Tensor x_PND, w_D;  // w_D undefined unless asked for
  };
  Gradients (*backward)(const Tensor& gy_PND, const Tensor& x_PND, const Tensor& w_D, double eps, bool want_w);
};
extern const RmsNormKernels rms_norm_reference, rms_norm_cpu, rms_norm_cuda;

}  // namespace ingrain::ops
