#include "model/rope.h"

#include "ops/graph/capture.h"

#include <cmath>
#include <numbers>

namespace ingrain {
namespace {

double amplitude(const RopeScaling& s) {
  if (s.kind != RopeScaling::Kind::yarn) return 1;
  return s.attention_factor.value_or(s.factor <= 1 ? 1 : 0.1 * std::log(s.factor) + 1);
}

}  // namespace

Tensor rope_frequencies(const ModelConfig& c, at::Device device) {
  const RopeScaling& s = c.rope_scaling;
  const double head_dim = static_cast<double>(c.head_dim), full_turn = 2 * std::numbers::pi;
  const Tensor pair_R = at::arange(c.head_dim / 2, at::TensorOptions(device).dtype(at::kDouble));
  const Tensor f_R = at::pow(c.rope_theta, pair_R * (-2 / head_dim));
  // Of each pair's frequency the share keep_R as it is, the rest stretched.
  const auto mix = [&](const Tensor& keep_R) { return f_R * (keep_R + (1 - keep_R) / s.factor); };
  switch (s.kind) {
    case RopeScaling::Kind::none: break;
    case RopeScaling::Kind::linear: return f_R / s.factor;
    case RopeScaling::Kind::llama3: {
      const Tensor turns_R = f_R * (s.original_max_position / full_turn);
      return mix(((turns_R - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)).clamp(0, 1));
    }
    case RopeScaling::Kind::yarn: {
      const auto pair_with_turns =
          [&](double turns) {  // the (fractional) pair that turns so often in the trained length
            return head_dim * std::log(s.original_max_position / (turns * full_turn)) / (2 * std::log(c.rope_theta));
          };
      const double low = std::max(std::floor(pair_with_turns(s.beta_fast)), 0.0);
      const double high = std::min(std::ceil(pair_with_turns(s.beta_slow)), head_dim - 1);
      return mix(1 - ((pair_R - low) / std::max(high - low, 1e-3)).clamp(0, 1));
    }
  }
  return f_R;
}

ops::RopeTable rope_table_at(const ModelConfig& config, const Tensor& position_T, const Tensor& frequency_R,
                             at::ScalarType type) {
  return ops::rotations(position_T, frequency_R, amplitude(config.rope_scaling), type, config.rope_interleaved);
}

ops::RopeTable rope_table(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                          at::Device device) {
  const Tensor position_T = at::arange(first, first + count, at::TensorOptions(device).dtype(at::kLong));
  return rope_table_at(config, position_T, rope_frequencies(config, device), type);
}

ops::RopeTable rope_table_fp32(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                               at::Device device) {
  const auto fp32 = at::TensorOptions().dtype(at::kFloat);
  const Tensor exponents_R = at::arange(0, config.head_dim, 2, fp32) / static_cast<double>(config.head_dim);
  const Tensor frequencies_R = 1.0 / at::pow(config.rope_theta, exponents_R);
  const Tensor angles_TR = at::arange(first, first + count, fp32).unsqueeze(1) * frequencies_R.unsqueeze(0);
  return {angles_TR.cos().to(device, type), angles_TR.sin().to(device, type), config.rope_interleaved};
}

ops::RopeTable unrotated(const ops::RopeTable& table) {
  const ops::cpu::Capture::Scope aside(nullptr);  // constants: captured work need not make them again
  return {at::ones_like(table.cos_TR), at::zeros_like(table.sin_TR), table.interleaved};
}

ops::RopeTable slice(const ops::RopeTable& table, int64_t first, int64_t count) {
  return {table.cos_TR.narrow(0, first, count), table.sin_TR.narrow(0, first, count), table.interleaved};
}

}  // namespace ingrain
