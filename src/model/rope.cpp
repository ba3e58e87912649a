#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingrain {
namespace {

/// LongRoPE has factors for texts up to the trained length and others for longer ones. A layer that cannot see further
/// than that needs the first, whatever the text's length: angles depend on differences of positions alone.
bool sees_beyond_trained(const LayerSpec& l) {
  return static_cast<double>(l.window) > l.rope_scaling.original_max_position;
}

bool rotate_alike(const LayerSpec& a, const LayerSpec& b) {
  if (!a.rotated || !b.rotated) return a.rotated == b.rotated;
  return a.rope_theta == b.rope_theta && a.rotated_share == b.rotated_share && a.rope_scaling == b.rope_scaling &&
         a.query_growth == b.query_growth &&
         (a.rope_scaling.kind != RopeScaling::Kind::longrope || sees_beyond_trained(a) == sees_beyond_trained(b));
}

/// One layer of each way, in the order in which they come.
struct Ways {
  std::vector<const LayerSpec*> first;
  std::vector<int64_t> of_layer;

  explicit Ways(const ModelConfig& c) : of_layer(static_cast<size_t>(c.num_layers)) {
    for (int64_t i = 0; i < c.num_layers; ++i) {
      const LayerSpec& layer = c.layer(i);
      const auto known =
          std::find_if(first.begin(), first.end(), [&](const LayerSpec* one) { return rotate_alike(*one, layer); });
      of_layer[static_cast<size_t>(i)] = known - first.begin();
      if (known == first.end()) first.push_back(&layer);
    }
  }
};

/// Of the rotated pairs, [rotated pairs].
Tensor stretched_frequencies(const LayerSpec& l, double rotated_dim, const Tensor& pair_R) {
  const RopeScaling& s = l.rope_scaling;
  const double full_turn = 2 * std::numbers::pi;
  const Tensor f_R = at::pow(l.rope_theta, pair_R * (-2 / rotated_dim));
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
            return rotated_dim * std::log(s.original_max_position / (turns * full_turn)) / (2 * std::log(l.rope_theta));
          };
      const double low = std::max(std::floor(pair_with_turns(s.beta_fast)), 0.0);
      const double high = std::min(std::ceil(pair_with_turns(s.beta_slow)), rotated_dim - 1);
      return mix(1 - ((pair_R - low) / std::max(high - low, 1e-3)).clamp(0, 1));
    }
    case RopeScaling::Kind::longrope: {
      const auto& divisors = sees_beyond_trained(l) ? s.long_factor : s.short_factor;
      return f_R / at::tensor(divisors, at::kDouble).to(f_R.device());
    }
  }
  return f_R;
}

}  // namespace

double rope_amplitude(const RopeScaling& s) {
  if (s.kind == RopeScaling::Kind::longrope) return s.attention_factor.value_or(1);
  if (s.kind != RopeScaling::Kind::yarn) return 1;
  return s.attention_factor.value_or(s.factor <= 1 ? 1 : 0.1 * std::log(s.factor) + 1);
}

Tensor rope_frequencies(const ModelConfig& c, const LayerSpec& l, at::Device device) {
  const auto fp64 = at::TensorOptions(device).dtype(at::kDouble);
  const int64_t rotated = rotated_dim(c, l) / 2, rest = c.head_dim / 2 - rotated;
  const Tensor f_R = stretched_frequencies(l, static_cast<double>(2 * rotated), at::arange(rotated, fp64));
  return rest > 0 ? at::cat({f_R, at::zeros({rest}, fp64)}) : f_R;
}

std::vector<Tensor> rope_frequencies(const ModelConfig& c, at::Device device) {
  std::vector<Tensor> out;
  for (const LayerSpec* layer : Ways(c).first) out.push_back(rope_frequencies(c, *layer, device));
  return out;
}

Rope rope_at(const ModelConfig& c, const Tensor& position_T, const std::vector<Tensor>& frequency_R,
             at::ScalarType type) {
  const Ways ways(c);
  Rope out;
  out.way_of_layer = ways.of_layer;
  for (size_t i = 0; i < ways.first.size(); ++i) {
    const LayerSpec& l = *ways.first[i];
    Tensor& factor_T = out.query_factor_T.emplace_back();
    if (!l.rotated) {
      out.ways.push_back(ops::no_rotations(position_T, c.head_dim / 2, type, c.rope_interleaved));
      continue;
    }
    out.ways.push_back(ops::rotations(position_T, frequency_R[i], rope_amplitude(l.rope_scaling), type,
                                      c.rope_interleaved, rotated_dim(c, l) / 2));
    if (l.query_growth == 0) continue;
    factor_T = ops::query_factors(position_T, l.query_growth, l.rope_scaling.original_max_position, type);
  }
  return out;
}

Rope rope_table(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type, at::Device device) {
  const Tensor position_T = at::arange(first, first + count, at::TensorOptions(device).dtype(at::kLong));
  return rope_at(config, position_T, rope_frequencies(config, device), type);
}

Rope rope_table_fp32(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type, at::Device device) {
  const auto fp32 = at::TensorOptions().dtype(at::kFloat);
  const Tensor exponents_R = at::arange(0, config.head_dim, 2, fp32) / static_cast<double>(config.head_dim);
  const Tensor frequencies_R = 1.0 / at::pow(config.rope_theta, exponents_R);
  const Tensor angles_TR = at::arange(first, first + count, fp32).unsqueeze(1) * frequencies_R.unsqueeze(0);
  return {{{angles_TR.cos().to(device, type), angles_TR.sin().to(device, type), config.rope_interleaved}},
          {Tensor()},
          std::vector<int64_t>(static_cast<size_t>(config.num_layers), 0)};
}

Rope slice(const Rope& rope, int64_t first, int64_t count) {
  Rope out = rope;
  const auto cut = [&](Tensor& x_T) { x_T = x_T.defined() ? x_T.narrow(0, first, count) : x_T; };
  for (ops::RopeTable& table : out.ways) {
    cut(table.cos_TR);
    cut(table.sin_TR);
  }
  for (Tensor& factor_T : out.query_factor_T) cut(factor_T);
  return out;
}

}  // namespace ingrain
