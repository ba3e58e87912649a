#include "model/rope.h"

#include <cmath>
#include <numbers>

namespace ingrain {
namespace {

/// The positions' angle per step for each of the head's pairs, stretched as the family asks.
Tensor inverse_frequencies(const ModelConfig& c) {
  const int64_t R = c.head_dim / 2;
  const Tensor out = at::empty({R}, at::kDouble);
  double* f = out.data_ptr<double>();
  const RopeScaling& s = c.rope_scaling;
  const auto pair_with_turns = [&](double turns) {  // the (fractional) pair that turns so often in the trained length
    return static_cast<double>(c.head_dim) * std::log(s.original_max_position / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(c.rope_theta));
  };
  for (int64_t i = 0; i < R; ++i) {
    f[i] = std::pow(c.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
    switch (s.kind) {
      case RopeScaling::Kind::none: break;
      case RopeScaling::Kind::linear: f[i] /= s.factor; break;
      case RopeScaling::Kind::llama3: {
        const double turns = s.original_max_position * f[i] / (2 * std::numbers::pi);
        const double keep = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
        const double t = std::clamp(keep, 0.0, 1.0);
        f[i] = (1 - t) * f[i] / s.factor + t * f[i];
        break;
      }
      case RopeScaling::Kind::yarn: {
        const double low = std::max(std::floor(pair_with_turns(s.beta_fast)), 0.0);
        const double high = std::min(std::ceil(pair_with_turns(s.beta_slow)), static_cast<double>(c.head_dim - 1));
        const double t = std::clamp((static_cast<double>(i) - low) / std::max(high - low, 1e-3), 0.0, 1.0);
        f[i] = t * f[i] / s.factor + (1 - t) * f[i];
        break;
      }
    }
  }
  return out;
}

double amplitude(const RopeScaling& s) {
  if (s.kind != RopeScaling::Kind::yarn) return 1;
  return s.attention_factor.value_or(s.factor <= 1 ? 1 : 0.1 * std::log(s.factor) + 1);
}

}  // namespace

ops::RopeTable rope_table(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                          at::Device device) {
  const Tensor positions = at::arange(first, first + count, at::TensorOptions().dtype(at::kDouble));
  const Tensor angles_TR = positions.unsqueeze(1) * inverse_frequencies(config).unsqueeze(0);
  const double a = amplitude(config.rope_scaling);
  const auto finish = [&](Tensor x) { return x.mul_(a).to(device, type); };
  return {finish(angles_TR.cos()), finish(angles_TR.sin()), config.rope_interleaved};
}

ops::RopeTable rope_table_fp32(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                               at::Device device) {
  const auto fp32 = at::TensorOptions().dtype(at::kFloat);
  const Tensor exponents_R = at::arange(0, config.head_dim, 2, fp32) / static_cast<double>(config.head_dim);
  const Tensor frequencies_R = 1.0 / at::pow(config.rope_theta, exponents_R);
  const Tensor angles_TR = at::arange(first, first + count, fp32).unsqueeze(1) * frequencies_R.unsqueeze(0);
  return {angles_TR.cos().to(device, type), angles_TR.sin().to(device, type), config.rope_interleaved};
}

ops::RopeTable slice(const ops::RopeTable& table, int64_t first, int64_t count) {
  return {table.cos_TR.narrow(0, first, count), table.sin_TR.narrow(0, first, count), table.interleaved};
}

}  // namespace ingrain
