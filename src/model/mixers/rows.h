// What the rows of a mixer's parameters are made of (model/parameters.h).
#pragma once

#include "model/parameters.h"

namespace ingrain {

/// A member of a layer's weights: mixer_tensor<&MixerWeights::attention, &AttentionWeights::wqkv_CD>.
template <auto mixer, auto member>
Tensor& mixer_tensor(Weights& weights, int64_t layer) {
  return weights.blocks[static_cast<size_t>(layer)].*mixer.*member;
}

template <MixerKind kind>
bool has_mixer(const ModelConfig& config, int64_t layer) {
  return config.layer(layer).mixer == kind;
}

inline int64_t hidden_size(const ModelConfig& config) { return config.hidden_size; }

}  // namespace ingrain
