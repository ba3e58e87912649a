// Mamba-2 (Dao, Gu 2024, arXiv 2405.21060): a state space model whose memory is a matrix per head, which forgets by one
// number a head and token. Its state does not grow with the text.
#pragma once

#include "model/mixers/mamba2/sizes.h"
#include "model/mixers/mamba2/weights.h"
#include "model/mixers/mixer.h"

namespace ingrain {

extern const LayerMixer mamba2_mixer;

/// x: [B, T, D] to what is added to the residual stream, like x. state: what the tokens before have left, empty at the
/// start of a text; replaced by what they and these leave: the convolution's last kernel - 1 inputs [B, kernel - 1,
/// convolved], and the heads' matrices [B, heads, state_dim, head_dim] in fp32 (fp64). Differentiable once.
Tensor mamba2(const Mamba2Sizes& sizes, const Mamba2Weights& w, double eps, const Tensor& x_BTD, RecurrentState& state);

std::span<const Parameter> mamba2_parameters();

}  // namespace ingrain
