// Gated DeltaNet-2 (Hatamizadeh, Choi, Kautz 2026, arXiv 2605.22791): a Gated DeltaNet that decides channel by channel
// what it forgets, what it erases (along the keys) and what it writes (along the values).
#pragma once

#include "model/mixers/gated_delta_net2/sizes.h"
#include "model/mixers/gated_delta_net2/weights.h"
#include "model/mixers/mixer.h"

namespace ingrain {

extern const LayerMixer gated_delta_net2_mixer;

/// x: [B, T, D] to what is added to the residual stream, like x. state: what the tokens before have left, empty at the
/// start of a text; replaced by what they and these leave: the convolution's last kernel - 1 inputs [B, kernel - 1,
/// convolved], and the heads' matrices [B, value_heads, key_dim, value_dim] in fp32 (fp64). Differentiable once.
Tensor gated_delta_net2(const GatedDeltaNet2Sizes& sizes, const GatedDeltaNet2Weights& w, double eps,
                        const Tensor& x_BTD, RecurrentState& state);

std::span<const Parameter> gated_delta_net2_parameters();

}  // namespace ingrain
