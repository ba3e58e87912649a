// Causal attention within a window, with grouped queries, RoPE and norms on each head of q and k.
#pragma once

#include "model/mixers/mixer.h"

namespace ingrain {

std::span<const Parameter> attention_parameters();

/// 1 / sqrt(head_dim).
double attention_scale(const ModelConfig& config);

/// A layer's ordinary way to attend. past: the layer's window - 1 positions before, or fewer at the start.
Tensor attend_window(const ModelConfig& config, int64_t layer, const ops::Heads& now, const ops::KvWindow& past);

}  // namespace ingrain
