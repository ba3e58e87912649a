// Gated DeltaNet (Yang, Kautz, Hatamizadeh 2024): a linear attention whose memory is a matrix per head, forgets by a
// gate and corrects what it holds. Its state does not grow with the text.
#pragma once

#include "model/mixers/gated_delta_net/sizes.h"
#include "model/mixers/gated_delta_net/weights.h"
#include "model/mixers/mixer.h"

namespace ingrain {

extern const LayerMixer gated_delta_net_mixer;

/// x: [B, T, D] to what is added to the residual stream, like x. state: what the tokens before have left, empty at the
/// start of a text; replaced by what they and these leave: the convolution's last kernel - 1 inputs [B, kernel - 1,
/// convolved], and the heads' matrices [B, value_heads, key_dim, value_dim] in fp32 (fp64). Differentiable once.
Tensor gated_delta_net(const GatedDeltaNetSizes& sizes, const GatedDeltaNetWeights& w, double eps, const Tensor& x_BTD,
                       RecurrentState& state);

std::span<const Parameter> gated_delta_net_parameters();

}  // namespace ingrain
