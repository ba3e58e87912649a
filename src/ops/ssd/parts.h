// What stands around the recurrence in a Mamba-2. Differentiable once; sums in fp32 (fp64). Throws c10::Error where
// shapes do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// dt = softplus(raw + dt_bias) in fp32 (fp64). raw: [..., H]; dt_bias: [H].
Tensor time_steps(const Tensor& raw_H, const Tensor& dt_bias_H);

/// A = -exp(A_log).
Tensor negative_exp(const Tensor& A_log_H);

/// rms_norm(y silu(z)) w, the norm over each of `groups` equal parts of the last axis. y, z: [..., d], w: [d]. Like y.
Tensor rms_norm_of_gated(const Tensor& y, const Tensor& z, const Tensor& w_d, double eps, int64_t groups);

}  // namespace ingrain::ops
