// What stands around key-value binding in its mixer. Differentiable once; sums in fp32 (fp64). Throws c10::Error where
// shapes do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

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
