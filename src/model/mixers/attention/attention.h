// Causal attention within a window, with grouped queries, RoPE and norms on each head of q and k.
#pragma once

#include "model/mixers/mixer.h"

namespace ingrain {

std::span<const Parameter> attention_parameters();

/// 1 / sqrt(head_dim).
double attention_scale(const ModelConfig& config);

/// The ordinary way to attend. past: the window - 1 positions before, or fewer at the start.
Tensor attend_window(const ModelConfig& config, const ops::Heads& now, const ops::KvWindow& past);

}  // namespace ingrain
