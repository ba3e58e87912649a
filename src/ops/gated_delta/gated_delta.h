// The gated delta rule: linear attention whose memory is a matrix per head, which forgets by a gate and overwrites by
// an error. For every token, with a = exp(g):
//
//   S = a S;  u = beta (v - Sᵀ k);  S = S + k uᵀ;  o = scale Sᵀ q
//
// q, k: [B, T, H, K]; v: [B, T, H, V], the same type. g (<= 0), beta: [B, T, H], fp32 (fp64 for fp64). The state S:
// [B, H, K, V], of their type; undefined: zeros. Ordinary tensors, no duals. Throws c10::Error where shapes, types or
// devices do not fit.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

struct GatedDelta {
  Tensor o_BTHV;      // like v
  Tensor state_BHKV;  // after the last token
};

/// Tokens in chunks, each by a few products; one token, or a few, one after another where no gradient is wanted. Both
/// give the same numbers up to rounding. Differentiable once in all but scale.
GatedDelta gated_delta(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                       const Tensor& beta_BTH, const Tensor& state_BHKV, double scale);

/// One token after another, the state in place: what decoding captures. No gradient. Returns o, like v.
Tensor gated_delta_in_place(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                            const Tensor& beta_BTH, const Tensor& state_BHKV, double scale);

struct GatedDeltaKernels {
  GatedDelta (*chunked)(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                        const Tensor& beta_BTH, const Tensor& state_BHKV, double scale);
  /// state: contiguous.
  Tensor (*recurrent)(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                      const Tensor& beta_BTH, const Tensor& state_BHKV, double scale);
};
extern const GatedDeltaKernels gated_delta_reference, gated_delta_cpu, gated_delta_cuda;

}  // namespace ingrain::ops
