// Causal attention within a window, with grouped queries, RoPE and norms on each head of q and k.
#pragma once

#include "model/mixers/attention/weights.h"
#include "model/mixers/mixer.h"

namespace ingrain {

extern const LayerMixer attention_mixer;

std::span<const Parameter> attention_parameters();

/// What the layer's scores are multiplied by: 1 / sqrt(head_dim), unless it says otherwise.
double attention_scale(const ModelConfig& config, int64_t layer);

/// How many keys a query sees that move on with it. A sink is one of the window's: once the window has left a text's
/// first token, it stands in that one's place.
int64_t keys_of_window(const LayerSpec& layer);

/// A layer's ordinary way to attend. past: the layer's window - 1 positions before, or fewer at the start.
Tensor attend_window(const ModelConfig& config, int64_t layer, const ops::Heads& now, const ops::KvWindow& past);

}  // namespace ingrain
