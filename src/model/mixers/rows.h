// What the rows of a mixer's parameters are made of (model/parameters.h).
#pragma once

#include "model/parameters.h"

#include <cmath>

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

/// First values of a short convolution's weights, PyTorch's.
inline void small_kernel(const Tensor& conv_CW, const at::Generator& generator) {
  const double most = 1 / std::sqrt(static_cast<double>(conv_CW.size(1)));
  conv_CW.uniform_(-most, most, generator);
}

inline int64_t hidden_size(const ModelConfig& config) { return config.hidden_size; }

}  // namespace ingrain
