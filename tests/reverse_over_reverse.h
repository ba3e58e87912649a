// The meta-gradient the slow way: plain differentiable formulas, create_graph through every inner step, one sequence
// at a time, dense masks. The truth that the tangent method is held against.
#pragma once

#include "model/network.h"

namespace ingrain::test {

/// The outer loss, mean over sequences and chunks, as a function of `w` (differentiable in every parameter if `graph`).
/// tokens: [B, T + 1]. learn: whether inner steps are made.
Tensor plain_outer_loss(const ModelConfig& config, const Weights& w, const Tensor& tokens_BT1, bool learn,
                        double multiplier = 1);

}  // namespace ingrain::test
