// TTT-MLP (Sun et al. 2024, arXiv 2407.04620), "key-value binding": a layer whose memory is a small MLP per head, which
// learns to give values for keys while it reads. The layer of the paper's Transformer backbone: no convolution, no
// gate.
#pragma once

#include "model/mixers/kv_binding/sizes.h"
#include "model/mixers/kv_binding/weights.h"
#include "model/mixers/mixer.h"

namespace ingrain {

extern const LayerMixer kv_binding_mixer;

/// x: [B, T, D] to what is added to the residual stream, like x. state: what the tokens before have left
/// (ops/kv_binding), empty at the start of a text; replaced by what they and these leave. Differentiable once.
Tensor kv_binding(const KvBindingSizes& sizes, const KvBindingWeights& w, double theta, const Tensor& x_BTD,
                  RecurrentState& state);

std::span<const Parameter> kv_binding_parameters();

}  // namespace ingrain
