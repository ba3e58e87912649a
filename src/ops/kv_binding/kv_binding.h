// Test-time training with a key-value binding loss (Sun et al. 2024, arXiv 2407.04620, TTT-MLP): every head's memory is
// a small MLP, which learns while it is asked. For tokens in mini-batches of C, with f(x; W) = LN(gelu(x W1 + b1) W2 +
// b2), W_t the weights at the mini-batch's begin, and n a token's place in it:
//
//   loss_n = |f(k_n; W_t) - (v_n - k_n)|² / 2;   G_n = sum_{i <= n} rate_i d loss_i / d W_t
//   o_n = q_n + f(q_n; W_t - place_rate_n G_n);  W_{t+1} = W_t - place_rate_{C-1} G_{C-1}
//
// so that a token sees itself and all before it, and every gradient of a mini-batch is taken at its begin.
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain::ops {

/// Ordinary tensors, no duals; "wide" is fp32 (fp64 beside fp64).
struct KvBindingInputs {
  Tensor q_BTHd, k_BTHd, v_BTHd;  // of one type
  Tensor rate_BTH;                // of each token's step, wide
  Tensor place_rate_C;            // what a sum of gradients is multiplied by at a place, wide; its length is C
  // The MLP that a text begins with, wide.
  Tensor W1_HdF, b1_HF, W2_HFd, b2_Hd;
  Tensor norm_H2d;  // LN's scale and shift, [H, 2, d], wide
  /// What a text's tokens have left, wide: what was added to W1, b1, W2, b2, [B, ...]; the unfinished mini-batch's sums
  /// of gradients, the same four; the next token's place, [B, 1]. Empty: zeros.
  std::vector<Tensor> state;
};

struct KvBinding {
  Tensor o_BTHd;  // like q
  std::vector<Tensor> state;
};

/// Tokens by mini-batch in the dual form, a few products each, if all sequences are at the same place; else, and for
/// one token, one after another (the primal form), which may be captured. Both give the same numbers up to rounding.
/// Differentiable once. Throws c10::Error where shapes, types or devices do not fit.
KvBinding kv_binding(const KvBindingInputs& inputs);
/// Always one token after another.
KvBinding kv_binding_by_token(const KvBindingInputs& inputs);

}  // namespace ingrain::ops
