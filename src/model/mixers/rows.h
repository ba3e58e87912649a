// What the rows of a mixer's parameters are made of (model/parameters.h).
#pragma once

#include "model/mixers/mixer.h"

#include <cmath>

namespace ingrain {

/// A member of a layer's weights: mixer_tensor<AttentionWeights, &AttentionWeights::wqkv_CD>.
template <class Kind, Tensor Kind::* member>
Tensor& mixer_tensor(Weights& weights, int64_t layer) {
  return weights.blocks[static_cast<size_t>(layer)].mixer.of<Kind>().*member;
}

template <const LayerMixer& mixer>
bool has_mixer(const ModelConfig& config, int64_t layer) {
  return &mixer_of(config, layer) == &mixer;
}

/// First values of a short convolution's weights, PyTorch's.
inline void small_kernel(const Tensor& conv_CW, const at::Generator& generator) {
  const double most = 1 / std::sqrt(static_cast<double>(conv_CW.size(1)));
  conv_CW.uniform_(-most, most, generator);
}

inline void zeros(const Tensor& x, const at::Generator&) { x.zero_(); }

/// First values of what is added to a step of time before its softplus: steps spread from slow to fast, Mamba's.
inline void spread_time_steps(const Tensor& dt_bias, const at::Generator& generator) {
  const Tensor dt = dt_bias.uniform_(std::log(1e-3), std::log(1e-1), generator).exp_();
  dt_bias.copy_(dt.expm1().log_());  // softplus' inverse
}

inline int64_t hidden_size(const ModelConfig& config) { return config.hidden_size; }

}  // namespace ingrain
