// What an inner step is made of: L_t and g_t = dL_t / dW of one chunk, and the rates. The step itself, by default
// W_{t+1} = W_t - eta g_t min(1, c / |g_t|), is inner_step() of ttt/inner_optimizer.h.
// docs/mathematics.md, "Reading: the inner loop", has the same letters.
#pragma once

#include "ttt/inner_optimizer.h"
#include "ttt/suffix.h"

#include <functional>

namespace ingrain::ttt {

/// Which of a chunk's targets count, as weights whose sum over a row's valid tokens is 1:
/// mask / max(count, 1e-10), fp32 (fp64). target: [B, T]; valid: [B, T] bool.
Tensor mean_weights(const Tensor& valid_BT, at::ScalarType type);

struct ChunkGradient {
  Tensor loss_B;                        // L_t: mean over the valid tokens, before the step
  Tensor nll_BT;                        // not masked
  std::vector<Mlp> g_S;                 // dL/dW, [B, 2F, D] and [B, D, F], fp32 (fp64), not clipped
  std::vector<SuffixOutput::Kv> kv_S1;  // what the layers leave, as in SuffixOutput
  std::vector<RecurrentState> state_S1;
};

/// L_t and g_t. W: [B, ...] fast weights; where some tokens have earlier ones, g_t is the derivative by one shift of
/// both. Nothing but W is differentiated: what layers carry is constant.
ChunkGradient chunk_gradient(const ModelConfig& config, const Weights& weights, const ChunkWeights& W,
                             const ChunkInput& in, const Tensor& target_BT, const Tensor& valid_BT,
                             const Tap& tap = {});

/// Where a backward pass starts: at something made of a suffix's output, with its cotangent (a vjp's).
struct Start {
  Tensor of, cotangent;
};
/// A pass through the suffix and back to the fast weights, from where `start` says. Sets g, kv and state alone.
ChunkGradient differentiate(const ModelConfig& config, const Weights& weights, const ChunkWeights& W,
                            const ChunkInput& in, const Tap& tap,
                            const std::function<Start(const Tensor& x_PBTD)>& start);

/// eta_l: inner_lr times its multiplier (ilr warm-up; 1 when reading) times the learned rates: [S], fp32 (fp64).
Tensor inner_rates(const ModelConfig& config, const Weights& weights, double multiplier = 1);

}  // namespace ingrain::ttt
