// Products with weights: slow ones, shared by all sequences, and fast ones, of which every sequence has its own.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// x wᵀ (+ bias). x: [P, ..., D]; w: [F, D], the same type, native or quantized (ops/quantized: a
/// constant then); bias: [F] or undefined (added to plane 0 only: it is slow).
/// Both planes are rows of one product. Differentiable once in x, w and bias. Throws c10::Error where shapes or types
/// do not fit.
Tensor linear(const Tensor& x_PND, const Tensor& w_FD, const Tensor& bias_F = {});

/// x wᵀ with a weight of every sequence's own. x: [P, B, T, D]; w: [B, F, D], fp32 (rounded to x's type here), or
/// [F, D] shared by all. dw: the weight's tangent, like w, or undefined; where given, the result has two planes:
/// the tangent of x w is dx w + x dw. Differentiable once in x and w; dw is a constant. rounded: w in x's type, where
/// it is at hand. whose: where given, sequence b takes the weight of sequence whose[b], or, where that is
/// negative, gets 0: one plane, no graph, no tangent. Throws c10::Error where shapes or devices do not
/// fit.
Tensor fast_linear(const Tensor& x_PBTD, const Tensor& w_BFD, const Tensor& dw_BFD = {}, const Tensor& rounded_BFD = {},
                   const Tensor& whose_B = {});

}  // namespace ingrain::ops
