// The part of the model that does not depend on the fast weights: embedding, prefix blocks, and the first suffix
// block's attention step.
#pragma once

#include "model/block.h"
#include "ttt/kv_cache.h"

namespace ingrain::ttt {

/// Tokens [B, n] through it. The two tables hold the n positions' angles for the prefix blocks and for the suffix.
/// Returns hidden states [B, n, D]: after the first suffix block's attention step, or after the last block where there
/// is no suffix. No gradients.
Tensor run_prefix(const ModelConfig& config, const Weights& weights, const Tensor& tokens_Bn,
                  const ops::RopeTable& prefix_rope, const ops::RopeTable& suffix_rope, const Attend& attend,
                  const Tap& tap = {});

/// The same for tokens that follow what `kv_L` holds: appends their keys and values there, and forgets what no later
/// query sees.
Tensor run_prefix(const ModelConfig& config, const Weights& weights, const Tensor& tokens_Bn,
                  const ops::RopeTable& prefix_rope, const ops::RopeTable& suffix_rope, std::vector<KvCache>& kv_L,
                  const Tap& tap = {});

}  // namespace ingrain::ttt
