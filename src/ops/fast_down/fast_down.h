// In-Place TTT (Feng et al. 2026, arXiv 2604.06169): the second product of an MLP by a matrix that learns while
// reading, from a target that knows what comes next. In chunks of C tokens, with h what the MLP multiplies and t its
// input:
//
//   y_n = h_n Wᵀ;   v_n = P sum_j conv_j t_{n + j - 2}, j = 0 .. 4, tokens of other chunks being zeros;
//   at the chunk's end  W = W + rate sum_n v_n h_nᵀ
//
// so that every token is asked before its chunk is learnt, although v looks two tokens ahead.
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain::ops {

/// Tokens that the convolution sees; it looks half of the others ahead.
inline constexpr int64_t kFastDownKernel = 5;

/// Ordinary tensors, no duals.
struct FastDownInputs {
  Tensor h_BTF, t_BTD;            // of one type
  Tensor w_DF, proj_DD, conv_DW;  // like them
  double rate = 0;
  int64_t chunk = 1;
  /// What a text's tokens have left, fp32 (fp64): what was added to W [B, D, F]; the unfinished chunk's sum of v hᵀ;
  /// its last four t and two h, [B, 4, D], [B, 2, F]; the next token's place in it, [B, 1]. Empty: zeros.
  std::vector<Tensor> state;
};

struct FastDown {
  Tensor y_BTD;  // like h
  std::vector<Tensor> state;
};

/// Chunk by chunk if all sequences are at the same place in theirs; else, and for one token, one after another, which
/// may be captured. Both give the same numbers up to rounding. Differentiable once. Throws c10::Error where shapes,
/// types or devices do not fit.
FastDown fast_down(const FastDownInputs& inputs);
/// Always one token after another.
FastDown fast_down_by_token(const FastDownInputs& inputs);

}  // namespace ingrain::ops
