// What training and the scores of whole sequences share: tokens as inputs and targets, losses by chunk.
#pragma once

#include "model/config.h"
#include "ops/dual.h"

namespace ingrain::ttt {

/// Tokens split into inputs and targets, and the mask of targets that count, each [B, T], on one device.
struct OuterBatch {
  Tensor input_BT, target_BT, valid_BT;
};

/// tokens: [B, T + 1] int64, on any device (from the CPU they are checked without waiting for a GPU). Error if T is not
/// a positive multiple of the chunk or a token is outside the vocabulary.
OuterBatch split_batch(const ModelConfig& config, const Tensor& tokens_BT1, at::Device device);

/// L_t of every chunk, [B, C]: the mean of [B, T] scores over the targets that count.
Tensor chunk_losses(const ModelConfig& config, const Tensor& nll_BT, const Tensor& valid_BT);

}  // namespace ingrain::ttt
