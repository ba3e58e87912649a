// In-Place TTT (Feng et al. 2026, arXiv 2604.06169): an MLP whose down projection learns while it reads. It is a mixer,
// since tokens meet those before them in that matrix: a block of the paper is a layer with attention and without an MLP
// (LayerSpec::mlp), and a layer with this one and no other. The target is made of the MLP's input, as the published
// code does where a model is trained on ("hidden_states"), not of the embedding.
#pragma once

#include "model/mixers/in_place_ttt/sizes.h"
#include "model/mixers/in_place_ttt/weights.h"
#include "model/mixers/mixer.h"

namespace ingrain {

extern const LayerMixer in_place_ttt_mixer;

/// x: [B, T, D] to what is added to the residual stream, like x. state: what the tokens before have left
/// (ops/fast_down), empty at the start of a text; replaced by what they and these leave. Differentiable once.
Tensor in_place_ttt(const InPlaceTttSizes& sizes, const InPlaceTttWeights& w, const Tensor& x_BTD,
                    RecurrentState& state);

std::span<const Parameter> in_place_ttt_parameters();

}  // namespace ingrain
