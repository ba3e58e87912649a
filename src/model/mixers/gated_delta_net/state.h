// What layers with one of the delta rules carry on, and what it costs.
#pragma once

#include "model/mixers/mixer.h"

namespace ingrain {

template <class Sizes>
std::vector<StatePart> delta_state(const ModelConfig& config, int64_t) {
  const Sizes& s = config.mixers.of<Sizes>();
  return {{"conv", {s.kernel - 1, s.convolved()}, false}, {"delta", {s.value_heads, s.key_dim, s.value_dim}, true}};
}

/// Of a token: Sᵀ k (what is erased along), k uᵀ and Sᵀ q.
template <class Sizes>
double delta_work(const ModelConfig& config) {
  const Sizes& s = config.mixers.of<Sizes>();
  return 3.0 * static_cast<double>(s.value_heads * s.key_dim * s.value_dim);
}

}  // namespace ingrain
