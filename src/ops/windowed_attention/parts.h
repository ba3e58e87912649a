// What stands around windowed attention in its mixer. Throws c10::Error where shapes do not fit.
#pragma once

#include "ops/qkv_rope/qkv_rope.h"

namespace ingrain::ops {

/// q | k | v, each [P, B, T, its own width], as one row. Differentiable once.
Tensor joined_qkv(const Tensor& q_PBTC, const Tensor& k_PBTC, const Tensor& v_PBTC);

/// q times a factor for each token, [T]; or for each sequence, [B], where every one has a token of its own. Like q.
Tensor scaled_queries(const Tensor& q_PBTHd, const Tensor& factor);

/// Gives `heads` a score of each head's own for every query, beside those of all keys: the same for all tokens [H], and
/// with a value of zero.
void add_sink_logit(const Tensor& logit_H, Heads& heads);

/// o sigmoid(z), with the tangent's plane where there is one: d(o s) = do s + o s (1 - s) dz. A plane that one of them
/// lacks is a zero tangent. Differentiable once; sums in fp32 (fp64). Like o.
Tensor sigmoid_gate(const Tensor& o_PBTC, const Tensor& z_PBTC);

}  // namespace ingrain::ops
