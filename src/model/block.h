// One block in three residual steps, each a pure function of hidden states with planes (ops/dual.h):
//
//   h += post_norm(attention(norm(h)))
//   h += post_norm'(swiglu(norm'(h); W))       suffix blocks: the fast MLP, before the ordinary one
//   h += post_norm"(swiglu(norm"(h); θ))
#pragma once

#include "model/weights.h"
#include "ops/qkv_rope/qkv_rope.h"
#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain {

/// Sees named intermediate values as they are made ("attn", "fast", "mlp": branch outputs before the residual
/// addition; "block": a block's output). For verification; empty in production.
using Tap = std::function<void(const std::string& what, int64_t block, const Tensor& x_PBTD)>;

/// How a block's queries meet its keys and values (rotated, [P, B, T, ...]) and those before: returns [P, B, T, H, d].
using Attend = std::function<Tensor(int64_t block, const ops::Heads& now)>;

/// 1 / sqrt(head_dim).
double attention_scale(const ModelConfig& config);

/// The ordinary way. past: the window - 1 positions before, or fewer at the start.
Tensor attend_window(const ModelConfig& config, const ops::Heads& now, const ops::KvWindow& past);

struct AttentionStep {
  Tensor h_PBTD;
  Tensor k_PBTGd, v_PBTGd;  // this step's keys (rotated) and values, for later windows
};

/// h: [P, B, T, D]. rope: the T positions' angles.
AttentionStep attention_step(const ModelConfig& config, const BlockWeights& w, const Tensor& h_PBTD,
                             const Attend& attend, const ops::RopeTable& rope, const Tap& tap = {}, int64_t block = 0);

/// A fast MLP of B sequences and the direction in which its tangent is taken (undefined tensors: no tangent).
struct FastMlp {
  Mlp w, dw = {};
  Mlp rounded = {};  // w in the type of the computation, where it is at hand
};

/// Returns two planes if `fast` has a tangent or h has two.
Tensor fast_step(const ModelConfig& config, const BlockWeights& w, const Tensor& h_PBTD, const FastMlp& fast,
                 const Tap& tap = {}, int64_t block = 0);

Tensor mlp_step(const ModelConfig& config, const BlockWeights& w, const Tensor& h_PBTD, const Tap& tap = {},
                int64_t block = 0);

}  // namespace ingrain
