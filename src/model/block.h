// One block in three residual sublayers, each a pure function of hidden states with planes (ops/dual.h):
//
//   h += post_norm(mix(norm(h)))               the layer's mixer, attention for one (model/mixers)
//   h += post_norm'(swiglu(norm'(h); W))       suffix blocks: the fast MLP, before the ordinary one
//   h += post_norm"(swiglu(norm"(h); θ))
//
// Families differ in what of this they have (LayerSpec): norms before branches, after them, or both; GELU in place of
// SwiGLU's SiLU; branches times a factor.
#pragma once

#include "model/mixers/mixer.h"

namespace ingrain {

/// Sees named intermediate values as they are made ("attn", "fast", "mlp": branch outputs before the residual
/// addition; "block": a block's output). For verification; empty in production.
using Tap = std::function<void(const std::string& what, int64_t block, const Tensor& x_PBTD)>;

/// h: [P, B, T, D]. rope: the T positions' angles.
Tensor mixer_step(const ModelConfig& config, const BlockWeights& w, const Tensor& h_PBTD, const Carry& carry,
                  const Rope& rope, const Tap& tap = {}, int64_t block = 0);

/// A fast MLP of B sequences and the direction in which its tangent is taken (undefined tensors: no tangent).
struct FastMlp {
  Mlp w, dw = {};
  Mlp rounded = {};     // w in the type of the computation, where it is at hand
  Tensor whose_B = {};  // as in ops::fast_linear: where sequences share weights
  // The call's first `early_rows` tokens have these in place of w and dw: those before the newest inner step, where it
  // takes effect later.
  Mlp early = {}, early_dw = {};
  int64_t early_rows = 0;
};

/// Returns two planes if `fast` has a tangent or h has two.
Tensor fast_step(const ModelConfig& config, const BlockWeights& w, const Tensor& h_PBTD, const FastMlp& fast,
                 const Tap& tap = {}, int64_t block = 0);

/// h itself where the layer has no MLP.
Tensor mlp_step(const ModelConfig& config, const BlockWeights& w, const Tensor& h_PBTD, const Tap& tap = {},
                int64_t block = 0);

}  // namespace ingrain
