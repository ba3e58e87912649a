#include "families/gguf_description.h"

#include "base/error.h"
#include "families/families.h"
#include "families/table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ingrain::families {
namespace {

/// The layer that says what the model's metadata do: one that sees all, if there is one.
const LayerSpec& widest_layer(const ModelConfig& c) {
  for (const LayerSpec& layer : c.layers)
    if (layer.full_attention()) return layer;
  return c.layer(0);
}

const LayerSpec* windowed_layer(const ModelConfig& c) {
  for (int64_t i = 0; i < c.num_layers; ++i)
    if (!c.layer(i).full_attention()) return &c.layer(i);
  return nullptr;
}

/// Each pair's divisor, as converters compute it.
std::vector<float> llama3_divisors(const LayerSpec& layer, int64_t head_dim) {
  const RopeScaling& s = layer.rope_scaling;
  std::vector<float> out;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double f = std::pow(layer.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double turns = s.original_max_position * f / (2 * std::numbers::pi);
    const double keep = std::clamp((turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0, 1.0);
    out.push_back(static_cast<float>(1 / ((1 - keep) / s.factor + keep)));
  }
  return out;
}

void set_scaling(const LayerSpec& layer, int64_t head_dim, const GgufKeyWriter& keys, GgufDescription& out) {
  const RopeScaling& s = layer.rope_scaling;
  if (s.kind == RopeScaling::Kind::llama3)
    out.tables.emplace_back("rope_freqs.weight", llama3_divisors(layer, head_dim));
  if (s.kind != RopeScaling::Kind::linear && s.kind != RopeScaling::Kind::yarn) return;
  keys.set("rope.scaling.type", s.kind == RopeScaling::Kind::linear ? "linear" : "yarn");
  keys.number("rope.scaling.factor", s.factor);
  if (s.kind != RopeScaling::Kind::yarn) return;
  keys.size("rope.scaling.original_context_length", static_cast<int64_t>(s.original_max_position));
  const double usual = 0.1 * std::log(s.factor) + 1;
  if (s.attention_factor && std::abs(*s.attention_factor - usual) > 1e-6)
    keys.number("rope.scaling.attn_factor", *s.attention_factor / usual);
  keys.number("rope.scaling.yarn_beta_fast", s.beta_fast);
  keys.number("rope.scaling.yarn_beta_slow", s.beta_slow);
}

GgufDescription described_as(const Family& family, const ModelConfig& c) {
  GgufDescription out{std::string(family.gguf), {}, family.pairs_in_gguf, {}};
  const GgufKeyWriter keys{out.architecture, out.metadata};
  const LayerSpec &layer = widest_layer(c), *const windowed = windowed_layer(c);
  out.metadata.set("general.architecture", out.architecture);
  keys.size("context_length", c.trained_length);
  keys.size("embedding_length", c.hidden_size);
  keys.size("block_count", c.num_layers);
  keys.size("feed_forward_length", c.mlp_size);
  keys.size("attention.head_count", c.num_heads);
  keys.size("attention.head_count_kv", c.num_kv_heads);
  keys.size("attention.key_length", c.head_dim);
  keys.size("attention.value_length", c.head_dim);
  keys.number("attention.layer_norm_rms_epsilon", c.rms_eps);
  keys.number("rope.freq_base", layer.rope_theta);
  keys.size("rope.dimension_count", rotated_dim(c, layer));
  keys.size("vocab_size", c.vocab_size);
  if (windowed) keys.size("attention.sliding_window", windowed->window);
  if (family.written_to_gguf->write) family.written_to_gguf->write(c, keys);
  set_scaling(layer, c.head_dim, keys, out);
  return out;
}

/// A file of these metadata with the tensors that readers look at, and a vocabulary of two tokens, the least there is.
constexpr uint64_t kSampleRows = 2;
std::string sample_file(const ModelConfig& c, const GgufDescription& described) {
  formats::GgufWriter out = described.metadata;
  std::string data;
  const auto add = [&](const std::string& name, const std::vector<float>& numbers) {
    out.tensor(name, formats::GgufType::F32, {numbers.size()});
    data.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
    data.resize((data.size() + 31) / 32 * 32);
  };
  for (const auto& [name, numbers] : described.tables) add(name, numbers);
  const std::vector<float> one(1);
  if (c.layer(0).qk_norm) add("blk.0.attn_q_norm.weight", one);
  if (c.layer(0).qkv_bias) add("blk.0.attn_q.bias", one);
  if (!c.tie_embeddings) add("output.weight", one);
  out.tensor("token_embd.weight", formats::GgufType::F32, {kSampleRows, static_cast<uint64_t>(c.hidden_size)});
  data.resize(data.size() + kSampleRows * static_cast<size_t>(c.hidden_size) * sizeof(float));
  return out.header() + data;
}

/// What files hold in single precision is compared as such, and what they do not hold not at all.
nlohmann::json comparable(ModelConfig c) {
  c.rope_interleaved = false;
  c.vocab_size = kSampleRows;
  c.bos_id = -1;
  c.eos_ids.clear();
  c.init_std = 0;
  c.inner_lr = c.inner_clip = 1;
  c.chunk = 1024;
  c.fast_mlp_size = 0;
  c.fast_post_norm = c.learned_inner_rates = false;
  if (!c.layers.empty()) static_cast<LayerSpec&>(c) = c.layers[0];
  const double usual_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  c.change_layers([&](LayerSpec& layer) {
    if (layer.rope_scaling.kind == RopeScaling::Kind::none) layer.rope_scaling = {};
    if (layer.rope_scaling.kind == RopeScaling::Kind::yarn && !layer.rope_scaling.attention_factor)
      layer.rope_scaling.attention_factor = 0.1 * std::log(layer.rope_scaling.factor) + 1;
    if (std::abs(layer.attention_scale - usual_scale) < 1e-6 * usual_scale) layer.attention_scale = 0;
  });
  c.join_layers();
  return to_json(c);
}

bool nearly_equal(const nlohmann::json& a, const nlohmann::json& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.get<double>(), y = b.get<double>();
    return std::abs(x - y) <= 1e-6 * std::max(std::abs(x), std::abs(y));
  }
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), nearly_equal);
  if (!a.is_object()) return a == b;
  for (const auto& [key, value] : a.items())
    if (!b.contains(key) || !nearly_equal(value, b[key])) return false;
  return true;
}

bool is_described(const WrittenToGguf& as, const ModelConfig& c, const GgufDescription& described) {
  for (int64_t i = 0; i < c.num_layers; ++i) {
    const LayerSpec& layer = c.layer(i);
    if (layer.qk_norm != as.norms_of_q_and_k || (layer.qkv_bias && !as.may_have_bias) || layer.mixer != kAttention ||
        layer.sink || layer.sink_logit || layer.output_gate || !layer.mlp)
      return false;
  }
  try {
    const std::string file = sample_file(c, described);
    return nearly_equal(comparable(read_gguf(formats::Gguf(file, "the metadata")).config), comparable(c));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

GgufDescription describe_as_gguf(const ModelConfig& config) {
  if (config.suffix_len == 0)
    for (const Family& family : all_families()) {
      if (!family.written_to_gguf) continue;
      GgufDescription out = described_as(family, config);
      if (!is_described(*family.written_to_gguf, config, out)) continue;
      constexpr const char* kEnds[] = {"eos", "eot", "eom"};
      for (size_t i = 0; i < std::min(config.eos_ids.size(), std::size(kEnds)); ++i)
        out.metadata.set(fmt::format("tokenizer.ggml.{}_token_id", kEnds[i]), static_cast<uint32_t>(config.eos_ids[i]));
      if (config.bos_id >= 0) out.metadata.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(config.bos_id));
      return out;
    }
  GgufDescription own{kOwnArchitecture, {}, config.rope_interleaved, {}};
  own.metadata.set("general.architecture", kOwnArchitecture);
  own.metadata.set(kOwnConfig, to_json(config).dump());
  return own;
}

}  // namespace ingrain::families
