// The gradient of the outer loop: d(mean over sequences and chunks of L_t) / d(every parameter).
//
// meta:     through every inner step, by the tangent method (DESIGN.md section 4)
// standard: the same model with its fast weights held at W_0, an ordinary backward pass
#pragma once

#include "model/gradient_slots.h"
#include "model/network.h"
#include "ttt/block_stack.h"

namespace ingrain::ttt {

struct GradientOptions {
  double rate_multiplier = 1;  // of the inner rate (ilr warm-up)
  double loss_scale = 1;       // of the gradients: 1 / accumulation steps
  Recompute recompute = Recompute::always;  // of blocks in the backward pass
  int64_t keep_bytes = int64_t{4} << 30;  // for kept fast weights and inner gradients; beyond it they are computed again
  Tap tap;
};

struct OuterLoss {
  Tensor chunk_loss_BC;  // L_t of every sequence and chunk, fp32 (fp64)
  Tensor nll_BT;         // per token, not masked
  Tensor inner_norm_BC;  // |g_t| of every inner step (the last chunk makes none); undefined in standard mode
  double mean() const { return chunk_loss_BC.mean().item<double>(); }
};

/// tokens: [B, T + 1] int64 with T a multiple of the chunk, on any device (from the CPU they are checked without waiting
/// for a GPU). Gradients are added to the slots' sums. Error if T does not fit or a token is outside the vocabulary.
OuterLoss meta_gradient(const ModelConfig& config, const GradientSlots& slots, const Tensor& tokens_BT1,
                        const GradientOptions& options = {});
OuterLoss standard_gradient(const ModelConfig& config, const GradientSlots& slots, const Tensor& tokens_BT1,
                            const GradientOptions& options = {});

/// tokens split into inputs and targets, and the mask of targets that count, each [B, T], on one device.
struct OuterBatch {
  Tensor input_BT, target_BT, valid_BT;
};
OuterBatch split_batch(const ModelConfig& config, const Tensor& tokens_BT1, at::Device device);

/// L_t of every chunk, [B, C]: the mean of [B, T] scores over the targets that count.
Tensor chunk_losses(const ModelConfig& config, const Tensor& nll_BT, const Tensor& valid_BT);

}  // namespace ingrain::ttt
