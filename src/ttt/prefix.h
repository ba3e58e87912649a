// Prefill: the part of the model that does not depend on the fast weights takes many tokens at once: embedding, prefix
// blocks, and the first suffix block's mixer.
#pragma once

#include "model/block.h"
#include "ttt/layer_state.h"

namespace ingrain::ttt {

/// Tokens [B, n] through it. The two tables hold the n positions' angles for the prefix blocks and for the suffix.
/// Returns hidden states [B, n, D]: after the first suffix block's mixer, or after the last block where there
/// is no suffix. No gradients.
Tensor run_prefix(const ModelConfig& config, const Weights& weights, const Tensor& tokens_Bn, const Rope& prefix_rope,
                  const Rope& suffix_rope, const Carry& carry, const Tap& tap = {});

/// The same for tokens that follow those of which `layer_L` holds what the layers carry; brings it up to date.
Tensor run_prefix(const ModelConfig& config, const Weights& weights, const Tensor& tokens_Bn, const Rope& prefix_rope,
                  const Rope& suffix_rope, std::vector<LayerState>& layer_L, const Tap& tap = {});

}  // namespace ingrain::ttt
