// From the stacked projection to attention's inputs: split into heads, RMSNorm on each head of q and k, RoPE.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// Rotations of T consecutive positions, the same for all sequences; or, where every sequence has one token (T = 1), of
/// each sequence's own position. Angles are computed in fp64, so that they are exact at any position.
struct RopeTable {
  Tensor cos_TR, sin_TR;    // [T (or B), head_dim / 2], fp32 (fp64 for fp64 models)
  bool interleaved = true;  // pairs (x[2i], x[2i+1]); otherwise (x[i], x[i + head_dim/2])
};

/// The rotations of any positions [T], int64, each pair by position times its frequency [R], fp64 on the same device.
/// amplitude: what cos and sin of the first `pairs` pairs are multiplied by (-1: of all). type: the table's. Not
/// differentiable.
RopeTable rotations(const Tensor& position_T, const Tensor& frequency_R, double amplitude, at::ScalarType type,
                    bool interleaved, int64_t pairs = -1);

/// The table of as many positions that turns nothing.
RopeTable no_rotations(const Tensor& position_T, int64_t pairs, at::ScalarType type, bool interleaved);

/// What queries at these positions [T], int64, are multiplied by: 1 + growth ln(1 + floor(position / length)), computed
/// in fp64. Not differentiable.
Tensor query_factors(const Tensor& position_T, double growth, double length, at::ScalarType type);

/// REQUIRES: an even head_dim.
struct HeadShape {
  int64_t q_heads, kv_heads, head_dim;
  int64_t width() const { return (q_heads + 2 * kv_heads) * head_dim; }
};

struct Heads {
  Tensor q_PBTHd, k_PBTGd, v_PBTGd;
  // Attention's sink (ops::Sink); split_heads() leaves it undefined.
  Tensor sink_PBTH = {}, sink_v_Gd = {};
  bool sink_always = false;
};

/// qkv: [P, B, T, (H + 2G) d] contiguous, q | k | v. q_norm, k_norm: [d], fp32 (fp64), or both undefined for no norm.
/// q and k are normed and rotated; v is copied. Differentiable once in qkv and the norms. Throws c10::Error where
/// shapes, types or devices do not fit.
Heads split_heads(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
                  const HeadShape& shape, double eps);

struct QkvRopeKernels {
  Heads (*forward)(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
                   const HeadShape& shape, double eps);
  struct Gradients {
    Tensor qkv_PBTC, q_norm_d, k_norm_d;  // the norms' undefined unless asked for
  };
  /// Any of the three incoming gradients may be undefined (zero).
  Gradients (*backward)(const Heads& g, const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d,
                        const RopeTable& rope, const HeadShape& shape, double eps, bool want_norms);
};
extern const QkvRopeKernels qkv_rope_reference, qkv_rope_cpu, qkv_rope_cuda;

}  // namespace ingrain::ops
