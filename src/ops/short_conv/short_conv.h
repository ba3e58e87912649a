// A causal convolution of a few tokens, channel by channel, with SiLU.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

struct ShortConv {
  Tensor y_BTC;     // like x
  Tensor tail_BnC;  // the last W - 1 inputs: what the next tokens see
};

/// y_t = silu(bias + sum_j w_j x_{t - W + 1 + j}). x: [B, T, C]; w: [C, W], the same type; tail: the W - 1 inputs
/// before x, undefined: zeros; bias: [C], x's type, undefined: none. Differentiable once in all. Throws c10::Error
/// where shapes or types do not fit.
ShortConv short_conv(const Tensor& x_BTC, const Tensor& w_CW, const Tensor& tail_BnC, const Tensor& bias_C = {});

}  // namespace ingrain::ops
