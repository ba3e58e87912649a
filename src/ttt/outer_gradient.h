// The gradient of the outer loop: d(mean over sequences and chunks of L_t) / d(every parameter).
//
// meta:     through every inner step, by the tangent method (docs/mathematics.md, "Learning to read")
// standard: the same model with its fast weights held at W_0, an ordinary backward pass
#pragma once

#include "ttt/gradient_sums.h"
#include "model/network.h"
#include "ttt/block_stack.h"

namespace ingrain::ttt {

struct GradientOptions {
  double rate_multiplier = 1;               // of the inner rate (ilr warm-up)
  double loss_scale = 1;                    // of the gradients: 1 / accumulation steps
  Recompute recompute = Recompute::always;  // of blocks in the backward pass
  int64_t keep_bytes =
      int64_t{4} << 30;  // for kept fast weights and inner gradients; beyond it they are computed again
  // Of the host's memory, for what segments of inner steps start from (ttt/segments.h); means nothing on the CPU.
  int64_t host_bytes = 0;
  Tap tap;
  // Called between blocks and between inner steps. What it throws ends the work, with the sums spoilt.
  std::function<void()> pause = {};
  // Called in the backward pass, block after block: the sums from this number of GradientSums::flat() on are final.
  std::function<void(int64_t first)> settled = {};
};

struct OuterLoss {
  Tensor chunk_loss_BC;  // L_t of every sequence and chunk, fp32 (fp64)
  Tensor nll_BT;         // per token, not masked
  Tensor inner_norm_BC;  // |g_t| of every inner step (the last chunk makes none); undefined in standard mode
  double mean() const { return chunk_loss_BC.mean().item<double>(); }
};

/// Error naming `where` and the remedy, if the suffix has mixers that the tangent method does not reach.
void require_meta_trainable(const ModelConfig& config, std::string_view where);

/// tokens: [B, T + 1] int64, as split_batch() (ttt/outer_batch.h) takes and checks them. Gradients are added to the
/// sums.
OuterLoss meta_gradient(const ModelConfig& config, const GradientSums& gradients, const Tensor& tokens_BT1,
                        const GradientOptions& options = {});
OuterLoss standard_gradient(const ModelConfig& config, const GradientSums& gradients, const Tensor& tokens_BT1,
                            const GradientOptions& options = {});

}  // namespace ingrain::ttt
