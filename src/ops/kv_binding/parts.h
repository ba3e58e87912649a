// What stands around key-value binding in its mixer. Differentiable once; sums in fp32 (fp64). Throws c10::Error where
// shapes do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// Heads of a parameter, in fp32 (fp64): [H, d, n] of [H d, n], or [H, n, d].
Tensor parameter_heads(const Tensor& w_Cn, int64_t heads, bool transposed = false);

/// A norm's scale and shift for each head, [H, 2, d] of [H d] each.
Tensor norm_heads(const Tensor& w_C, const Tensor& b_C, int64_t heads);

/// RoPE of neighbouring pairs by a token's place in its mini-batch of `places`, which begin anew with each. x: [B, T,
/// H, d]; first: the first tokens' places [B, 1], undefined: 0. Like x.
Tensor rotate_by_place(const Tensor& x_BTHd, const Tensor& first_B1, int64_t places, double theta);

/// Over the last axis. w, b: [n]. Like x.
Tensor layer_norm(const Tensor& x_n, const Tensor& w_n, const Tensor& b_n, double eps);

/// max(1 / (n + 1) + learned_n, 0) for every place n.
Tensor rates_of_places(const Tensor& learned_C);

/// factor sigmoid(x + b) over the last axis, in fp32 (fp64). x: [..., H], b: [H].
Tensor scaled_sigmoid(const Tensor& x_H, const Tensor& b_H, double factor);

}  // namespace ingrain::ops
