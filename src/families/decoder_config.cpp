#include "families/decoder_config.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingrain {
namespace {

using formats::RopeScalingType;

/// GGUF files hold Llama 3's scaling as divisors of the frequencies, computed from four numbers of which all released
/// models share three. Those are assumed, the fourth - the factor - is the greatest divisor, and the result is
/// compared.
RopeScaling llama3_scaling(const formats::DecoderDescription& d, std::string_view source) {
  const auto& divisors = d.rope_scaling.frequency_divisors;
  RopeScaling out;
  out.kind = RopeScaling::Kind::llama3;
  out.factor = *std::max_element(divisors.begin(), divisors.end());
  out.original_max_position = 8192;
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double f = std::pow(d.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(d.head_dim));
    const double turns = out.original_max_position * f / (2 * std::numbers::pi);
    const double keep =
        std::clamp((turns - out.low_freq_factor) / (out.high_freq_factor - out.low_freq_factor), 0.0, 1.0);
    const double expected = 1 / ((1 - keep) / out.factor + keep);
    require(std::abs(divisors[i] - expected) <= 1e-4 * expected,
            "{}: tensor 'rope_freqs.weight' divides frequency {} by {}; Llama 3's scaling would divide it by {}, and "
            "no other is "
            "supported: import the model's Hugging Face folder instead",
            source, i, divisors[i], expected);
  }
  return out;
}

RopeScaling scaling(const formats::DecoderDescription& d, std::string_view source) {
  const formats::RopeScaling& from = d.rope_scaling;
  if (!from.frequency_divisors.empty()) return llama3_scaling(d, source);
  RopeScaling out;
  switch (from.type) {
    case RopeScalingType::none: return out;
    case RopeScalingType::linear: out.kind = RopeScaling::Kind::linear; break;
    case RopeScalingType::llama3: out.kind = RopeScaling::Kind::llama3; break;
    case RopeScalingType::yarn: out.kind = RopeScaling::Kind::yarn; break;
    case RopeScalingType::dynamic:
      fail(
          "{}: RoPE scaling 'dynamic', whose angles change with the length of the text, is not supported; without the "
          "field the "
          "model works up to {} tokens",
          source, d.max_positions);
  }
  out.factor = from.factor;
  out.original_max_position = static_cast<double>(from.original_max_position);
  out.low_freq_factor = from.low_freq_factor;
  out.high_freq_factor = from.high_freq_factor;
  out.beta_fast = from.beta_fast;
  out.beta_slow = from.beta_slow;
  if (from.type == RopeScalingType::yarn) out.attention_factor = from.attention_factor;
  return out;
}

}  // namespace

ModelConfig decoder_config(const formats::DecoderDescription& d, std::string_view source) {
  require(!d.o_bias, "{}: biases on the attention's output ('attention_bias') are not supported", source);
  require(!d.mlp_bias, "{}: biases in the MLPs ('mlp_bias') are not supported", source);
  ModelConfig c;
  c.vocab_size = d.vocab_size;
  c.hidden_size = d.hidden_size;
  c.num_layers = d.layers;
  c.num_heads = d.heads;
  c.num_kv_heads = d.kv_heads;
  c.head_dim = d.head_dim;
  c.mlp_size = d.intermediate_size;
  c.window = d.sliding_window.value_or(ModelConfig::kFullAttention);
  c.rms_eps = d.rms_eps;
  c.qk_norm = d.qk_norm;
  c.post_norm = c.fast_post_norm = false;
  c.qkv_bias = d.qkv_bias;
  c.tie_embeddings = d.tie_embeddings;
  c.rope_theta = d.rope_theta;
  c.rope_interleaved = d.rope_interleaved;
  c.rope_scaling = scaling(d, source);
  c.bos_id = d.bos_ids.empty() ? -1 : d.bos_ids.front();
  c.eos_ids = d.eos_ids;
  c.trained_length = d.max_positions;
  validate(c, source);
  return c;
}

}  // namespace ingrain
