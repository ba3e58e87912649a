// What the rows of a mixer's parameters are made of (model/parameters.h).
#pragma once

#include "model/mixers/mixer.h"

#include <cmath>
#include <functional>

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

/// A tensor of a row in files, and how many rows it is.
struct NamedRows {
  std::string_view name;
  Size rows;
};

/// Rows of the mixer whose weights are `Kind`, where every layer with it has all of them, under names of our own or
/// Hugging Face's: GGUF and the reference have none.
template <class Kind, const LayerMixer& mixer>
class MixerRows {
  using Parts = std::initializer_list<NamedRows>;
  using Initial = void (*)(const Tensor&, const at::Generator&);

  static constexpr Parameter row(std::string_view name, Tensor& (*member)(Weights&, int64_t), ParameterKind kind,
                                 bool may_quantize, Size columns, Parts parts, Initial initial) {
    Parameter out{name, member, kind, Step::mixer, may_quantize, has_mixer<mixer>, columns, {}, initial};
    size_t i = 0;
    for (const NamedRows& part : parts) out.parts[i++] = {part.name, "", "", part.rows};
    return out;
  }

 public:
  template <Tensor Kind::* member>
  static constexpr Parameter quantizable(std::string_view name, Size columns, Parts parts) {
    return row(name, mixer_tensor<Kind, member>, ParameterKind::matrix, true, columns, parts, nullptr);
  }
  template <Tensor Kind::* member>
  static constexpr Parameter matrix(std::string_view name, Size columns, Parts parts, Initial initial = nullptr) {
    return row(name, mixer_tensor<Kind, member>, ParameterKind::matrix, false, columns, parts, initial);
  }
  template <Tensor Kind::* member>
  static constexpr Parameter norm(std::string_view name, Parts parts, Initial initial = nullptr) {
    return row(name, mixer_tensor<Kind, member>, ParameterKind::norm, false, nullptr, parts, initial);
  }
  template <Tensor Kind::* member>
  static constexpr Parameter bias(std::string_view name, Parts parts) {
    return row(name, mixer_tensor<Kind, member>, ParameterKind::bias, false, nullptr, parts, nullptr);
  }
};

/// A size of the mixer: a member of its sizes, or what they compute.
template <class Sizes, auto member>
int64_t size_in(const ModelConfig& config) {
  return std::invoke(member, config.mixers.of<Sizes>());
}

/// First values of a short convolution's weights, PyTorch's.
inline void small_kernel(const Tensor& conv_CW, const at::Generator& generator) {
  const double most = 1 / std::sqrt(static_cast<double>(conv_CW.size(1)));
  conv_CW.uniform_(-most, most, generator);
}

inline void zeros(const Tensor& x, const at::Generator&) { x.zero_(); }

/// First values of a decay's logarithm: from slow to fast, Mamba's.
inline void spread_decays(const Tensor& A_log, const at::Generator& generator) {
  A_log.uniform_(1, 16, generator).log_();
}

/// First values of what is added to a step of time before its softplus: steps spread from slow to fast, Mamba's.
inline void spread_time_steps(const Tensor& dt_bias, const at::Generator& generator) {
  const Tensor dt = dt_bias.uniform_(std::log(1e-3), std::log(1e-1), generator).exp_();
  dt_bias.copy_(dt.expm1().log_());  // softplus' inverse
}

inline int64_t hidden_size(const ModelConfig& config) { return config.hidden_size; }

}  // namespace ingrain
