#include "model/config.h"

#include "base/error.h"
#include "base/option_error.h"
#include "model/mixers/kinds.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace ingrain {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;

void validate_sizes(const ModelConfig& c, std::string_view where) {
  const auto size = [&](const char* field, int64_t value, int64_t least) {
    require(value >= least && value <= kMaxSize, "{}: '{}' is {}; it must be between {} and {}", where, field, value,
            least, kMaxSize);
  };
  size("vocab_size", c.vocab_size, 2);
  size("hidden_size", c.hidden_size, 1);
  size("num_attention_heads", c.num_heads, 1);
  size("num_key_value_heads", c.num_kv_heads, 1);
  size("head_dim", c.head_dim, 2);
  size("intermediate_size", c.mlp_size, 1);
  size("chunk_size", c.chunk, 1);
  require(c.num_layers >= 1 && c.num_layers <= 1024, "{}: 'num_hidden_layers' is {}; it must be between 1 and 1024",
          where, c.num_layers);
  require(c.head_dim % 2 == 0, "{}: 'head_dim' is {}; RoPE needs an even number", where, c.head_dim);
  require(c.num_heads % c.num_kv_heads == 0,
          "{}: 'num_attention_heads' ({}) must be a multiple of 'num_key_value_heads' ({})", where, c.num_heads,
          c.num_kv_heads);
  require(c.suffix_len >= 0 && c.suffix_len <= c.num_layers,
          "{}: 'suffix_len' is {}; it must be between 0 and 'num_hidden_layers' ({})", where, c.suffix_len,
          c.num_layers);
  if (c.suffix_len > 0) size("fast_intermediate_size", c.fast_mlp_size, 1);
  require(c.layers.empty() || static_cast<int64_t>(c.layers.size()) == c.num_layers,
          "{}: 'layers' describes {} layers; 'num_hidden_layers' is {}", where, c.layers.size(), c.num_layers);
}

void positive(std::string_view where, const char* field, double value) {
  require(std::isfinite(value) && value > 0, "{}: '{}' is {}; it must be positive", where, field, value);
}

void validate_layer(const LayerSpec& l, std::string_view where) {
  require(l.window >= 1, "{}: 'sliding_window' is {}; it must be at least 1, or null for full attention", where,
          l.window);
  require(!l.sink || (l.mixer == kAttention && l.window >= 2),
          "{}: 'attention_sink' needs attention with a 'sliding_window' of at least 2", where);
  require(!l.sink || !l.sink_logit, "{}: 'attention_sink' and 'attention_sink_logit' together are not supported",
          where);
  positive(where, "rope_theta", l.rope_theta);
  require(std::isfinite(l.attention_scale) && l.attention_scale >= 0,
          "{}: 'attention_scale' is {}; it must be positive, or 0 for 1 / sqrt(head_dim)", where, l.attention_scale);
  require(std::isfinite(l.query_growth) && l.query_growth >= 0, "{}: 'query_growth' is {}; it must not be negative",
          where, l.query_growth);
  const RopeScaling& s = l.rope_scaling;
  require(l.query_growth == 0 || s.original_max_position >= 1,
          "{}: 'query_growth' needs 'original_max_position_embeddings' in rope_scaling", where);
  require(std::isfinite(s.factor) && s.factor >= 1, "{}: rope_scaling: 'factor' is {}; it must be at least 1", where,
          s.factor);
  if (s.kind == RopeScaling::Kind::llama3 || s.kind == RopeScaling::Kind::yarn || s.kind == RopeScaling::Kind::longrope)
    require(s.original_max_position >= 1, "{}: rope_scaling: '{}' needs 'original_max_position_embeddings'", where,
            s.kind == RopeScaling::Kind::llama3 ? "llama3"
            : s.kind == RopeScaling::Kind::yarn ? "yarn"
                                                : "longrope");
}

void validate_inner_rule(const InnerRule& inner, int64_t chunk, std::string_view where) {
  const auto share = [&](const char* field, double value) {
    require(value >= 0 && value < 1, "{}: '{}' is {}; it must be at least 0 and below 1", where, field, value);
  };
  share("inner_momentum", inner.momentum);
  share("inner_decay", inner.decay);
  require(std::isfinite(inner.w13_factor) && inner.w13_factor >= 0,
          "{}: 'inner_w13_factor' is {}; it must not be negative", where, inner.w13_factor);
  require(inner.steps >= 1 && inner.steps <= 64, "{}: 'inner_steps' is {}; it must be between 1 and 64", where,
          inner.steps);
  require(inner.step_delay >= 0 && inner.step_delay < chunk,
          "{}: 'inner_step_delay' is {}; it must be at least 0 and below 'chunk_size' ({})", where, inner.step_delay,
          chunk);
  require(
      inner.step_delay == 0 || inner.steps == 1,
      "{}: 'inner_step_delay' is {} and 'inner_steps' {}; a step can take effect later only where a chunk makes one",
      where, inner.step_delay, inner.steps);
}

/// What a layer says that has to fit the model's sizes.
void validate_beside(const LayerSpec& l, const ModelConfig& c, std::string_view where) {
  require(std::isfinite(l.rotated_share) && l.rotated_share > 0 && l.rotated_share <= 1 && rotated_dim(c, l) >= 2 &&
              rotated_dim(c, l) % 2 == 0,
          "{}: 'partial_rotary_factor' is {}; of {} numbers of a head it must leave an even number, at least 2", where,
          l.rotated_share, c.head_dim);
  require(l.qk_norm_whole == c.qk_norm_whole && (l.qk_norm || !l.qk_norm_whole),
          "{}: 'qk_norm_whole' needs 'qk_norm', and to be the same in all layers", where);
  require(!l.post_norm || c.residual_scale == 1,
          "{}: 'residual_scale' is {}; with norms after the branches ('post_norm') it must be 1", where,
          c.residual_scale);
  const RopeScaling& s = l.rope_scaling;
  if (s.kind != RopeScaling::Kind::longrope) return;
  const auto pairs = static_cast<size_t>(rotated_dim(c, l) / 2);
  for (const auto& [name, factors] : {std::pair("short_factor", &s.short_factor), {"long_factor", &s.long_factor}})
    require(factors->size() == pairs &&
                std::all_of(factors->begin(), factors->end(), [](double x) { return std::isfinite(x) && x > 0; }),
            "{}: rope_scaling: '{}' must be {} positive numbers, one for each pair that is rotated", where, name,
            pairs);
}

/// What can be said and is not computed yet.
void refuse_uncomputed(const LayerSpec& l, std::string_view where) {
  const auto refuse = [&](bool asked, const char* field, const char* what) {
    require(!asked, "{}: '{}': {} not supported yet", where, field, what);
  };
  refuse(l.attention_softcap != 0, "attention_softcap", "attention scores with a soft cap are");
  refuse(l.o_bias, "attention_output_bias", "biases on the attention's output (Hugging Face's 'attention_bias') are");
  refuse(l.mlp_bias, "mlp_bias", "biases in the MLPs are");
  refuse(l.activation == Activation::gelu, "hidden_act", "activations other than SiLU and GELU by tanh are");
}

}  // namespace

void ModelConfig::join_layers() {
  if (layers.empty()) return;
  const bool alike = std::all_of(layers.begin(), layers.end(), [&](const auto& one) { return one == layers.front(); });
  if (!alike) return;
  static_cast<LayerSpec&>(*this) = layers.front();
  layers.clear();
}

int64_t rotated_dim(const ModelConfig& c, const LayerSpec& l) {
  // Rounded down, as transformers does; but a quotient may have been rounded before.
  return static_cast<int64_t>(static_cast<double>(c.head_dim) * l.rotated_share + 1e-6);
}

bool ModelConfig::has(MixerKind kind) const {
  if (layers.empty()) return mixer == kind;
  return std::any_of(layers.begin(), layers.end(), [&](const LayerSpec& one) { return one.mixer == kind; });
}

int64_t ModelConfig::widest_window() const {
  int64_t widest = 1;
  for (int64_t i = 0; i < num_layers; ++i)
    if (layer(i).mixer == kAttention) widest = std::max(widest, layer(i).window);
  return widest;
}

void validate(const ModelConfig& c, std::string_view where) {
  validate_sizes(c, where);
  each_mixer(c.mixers, [&](MixerKind kind, const auto& sizes) {
    if (c.has(kind)) sizes.validate(where);
  });
  const auto validate_whole = [&](const LayerSpec& l, std::string_view at) {
    validate_layer(l, at);
    validate_beside(l, c, at);
    refuse_uncomputed(l, at);
  };
  if (c.layers.empty()) validate_whole(c, where);
  for (size_t i = 0; i < c.layers.size(); ++i) {
    validate_whole(c.layers[i], fmt::format("{}: layer {}", where, i));
  }
  positive(where, "rms_norm_eps", c.rms_eps);
  positive(where, "inner_clip", c.inner_clip);
  require(std::isfinite(c.inner_lr) && c.inner_lr >= 0, "{}: 'inner_lr' is {}; it must not be negative", where,
          c.inner_lr);
  validate_inner_rule(c.inner, c.chunk, where);
  positive(where, "embedding_scale", c.embedding_scale);
  positive(where, "residual_scale", c.residual_scale);
  require(c.logit_scale == 1, "{}: 'logit_scale' is {}; the final norm's weights can be multiplied by it instead",
          where, c.logit_scale);
  require(c.logit_softcap == 0, "{}: 'logit_softcap': logits with a soft cap are not supported yet", where);
  require(c.bos_id >= -1 && c.bos_id < c.vocab_size, "{}: 'bos_token_id' is {}; the vocabulary has {} ids", where,
          c.bos_id, c.vocab_size);
  for (const int64_t id : c.eos_ids)
    require(id >= 0 && id < c.vocab_size, "{}: 'eos_token_id' holds {}; the vocabulary has {} ids", where, id,
            c.vocab_size);
}

namespace {

struct Preset {
  const char* name;
  int64_t layers, hidden, heads, mlp_with_fast, suffix;
};
constexpr Preset kPresets[] = {{"125m", 12, 768, 12, 1664, 3},
                               {"350m", 24, 1024, 16, 2304, 6},
                               {"760m", 24, 1536, 16, 3328, 6},
                               {"1b", 24, 2048, 32, 4352, 6},
                               {"3b", 32, 2560, 32, 5632, 8}};

}  // namespace

ModelConfig preset(std::string_view name) {
  for (const Preset& p : kPresets) {
    if (name != p.name) continue;
    ModelConfig c;
    c.vocab_size = 128256;
    c.hidden_size = p.hidden;
    c.num_layers = p.layers;
    c.num_heads = c.num_kv_heads = p.heads;
    c.head_dim = p.hidden / p.heads;
    c.mlp_size = c.fast_mlp_size = p.mlp_with_fast;
    c.suffix_len = p.suffix;
    c.window = 8192;
    c.bos_id = 128000;
    c.eos_ids = {128001};
    return c;
  }
  fail_option("preset", "'{}' is not known; the presets are {}", name, fmt::join(preset_names(), ", "));
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& p : kPresets) names.emplace_back(p.name);
  return names;
}

}  // namespace ingrain
