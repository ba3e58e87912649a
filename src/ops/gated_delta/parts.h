// What stands around the gated delta rule in a Gated DeltaNet. Differentiable once; sums in fp32 (fp64). Throws
// c10::Error where shapes do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// x / sqrt(sum x² + eps) over the last axis; every row `times` times, one behind the other. x: [..., H, d] to
/// [..., H times, d].
Tensor l2_norm(const Tensor& x_Hd, double eps, int64_t times = 1);

enum class OutputGate { silu, sigmoid };
/// rms_norm(x) w gate(z) over the last axis: x, z: [..., d], w: [d]. Like x.
Tensor gated_rms_norm(const Tensor& x, const Tensor& z, const Tensor& w_d, double eps,
                      OutputGate gate = OutputGate::silu);

/// The rule's gates in fp32 (fp64): g = -exp(A_log) softplus(a + dt_bias), beta = sigmoid(b). a, b: [..., H];
/// A_log, dt_bias: [H].
struct DeltaGates {
  Tensor g, beta;
};
DeltaGates delta_gates(const Tensor& a, const Tensor& b, const Tensor& A_log_H, const Tensor& dt_bias_H);

}  // namespace ingrain::ops
