// What stands around the delta rule with erasing and writing apart in a Gated DeltaNet-2. Differentiable once; sums in
// fp32 (fp64). Throws c10::Error where shapes do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// g = -exp(A_log) softplus(f + dt_bias) in fp32 (fp64), every head `times` times, one behind the other. f: [..., H, K]
/// to [..., H times, K]; A_log: [H]; dt_bias: [H K].
Tensor channel_decay(const Tensor& f_HK, const Tensor& A_log_H, const Tensor& dt_bias_C, int64_t times);

/// x sigmoid(gate), every row of the gate `times` times, one behind the other. x: [..., H times, d], gate: [..., H, d];
/// like x.
Tensor times_sigmoid(const Tensor& x_Hd, const Tensor& gate_Hd, int64_t times = 1);

}  // namespace ingrain::ops
