// What a model is: its sizes, and what each of its layers does. One block definition serves every family
// (docs/mathematics.md); what a family's files say becomes one of these in src/families.
#pragma once

#include "model/mixers/kind.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

/// How RoPE's inverse frequencies are stretched beyond the trained length.
struct RopeScaling {
  enum class Kind { none, linear, llama3, yarn, longrope };
  Kind kind = Kind::none;
  double factor = 1;
  double original_max_position = 0;                  // llama3, yarn, longrope; where queries grow
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  std::optional<double> attention_factor;            // multiplies cos and sin; yarn's default 0.1 ln(factor) + 1
  std::vector<double> short_factor, long_factor;     // longrope: each pair's divisor, by what a layer sees
  bool operator==(const RopeScaling&) const = default;
};

enum class Activation { silu, gelu, gelu_tanh };

/// What the inner step makes of a gradient (docs/mathematics.md, "The inner optimizer").
enum class InnerOptimizer { sgd, muon };

/// The rule of the inner step. As it stands here it is SGD with a clipped gradient.
struct InnerRule {
  InnerOptimizer optimizer = InnerOptimizer::sgd;
  double momentum = 0;     // beta: what stays of the steps before
  double decay = 0;        // delta: the part of the way back to W_0 that each step goes
  double w13_factor = 1;   // of the rate, for w1 and w3
  int64_t steps = 1;       // a chunk
  int64_t step_delay = 0;  // d: so many tokens of the next chunk are still read with the weights before the step

  /// Whether a step is a multiple of the chunk's gradient alone.
  bool plain() const { return optimizer == InnerOptimizer::sgd && momentum == 0 && decay == 0; }
  bool operator==(const InnerRule&) const = default;
};

/// One layer: what it does between its residual additions. More can be said than is computed: validate() refuses the
/// rest by name.
struct LayerSpec {
  static constexpr int64_t kFullAttention = std::numeric_limits<int64_t>::max() / 4;

  MixerKind mixer = kAttention;
  int64_t window = kFullAttention;  // k: a query sees itself and the k - 1 positions before it
  bool rotated = true;              // RoPE; without, nothing tells positions apart but the causal mask (NoPE)
  double rope_theta = 500000;
  double rotated_share = 1;  // of each head's pairs, the first ones (rotated_dim)
  RopeScaling rope_scaling;
  double query_growth = 0;       // beta: q is multiplied by 1 + beta ln(1 + floor(position / original_max_position))
  double attention_scale = 0;    // of q k; 0: 1 / sqrt(head_dim)
  double attention_softcap = 0;  // c tanh(q k / c); 0: none
  bool sink = false;             // the window's last place is for a key of the layer's own, which stays
  bool sink_logit = false;       // besides all keys a score of each head's own, whose value is zero
  bool qk_norm = true;           // RMSNorm of q and k, head by head
  bool qk_norm_whole = false;    // with qk_norm: over all heads together in place of that; the same in all layers
  bool output_gate = false;      // what heads give is multiplied by sigmoid(x Wg) before the output's product
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool mlp = true;                         // without, a layer is its mixer alone
  bool pre_norm = true, post_norm = true;  // RMSNorm before and after each branch
  Activation activation = Activation::silu;

  bool full_attention() const { return window >= kFullAttention; }
  bool operator==(const LayerSpec&) const = default;
};

/// A model. As a LayerSpec it is what all its layers are, unless `layers` says otherwise.
struct ModelConfig : LayerSpec {
  int64_t vocab_size = 0, hidden_size = 0, num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  int64_t mlp_size = 0;
  int64_t fast_mlp_size = 0;  // width of the fast MLPs; 0 if there are none
  int64_t suffix_len = 0;     // S: the last S blocks have a fast MLP
  int64_t chunk = 1024;       // b: tokens per inner step
  double rms_eps = 1e-6;
  bool fast_post_norm = true;  // off for retrofitted models: under a post-norm a zero w2 has no usable slope
  bool tie_embeddings = true;
  bool learned_inner_rates = false;  // one multiplier of inner_lr per suffix block, meta-learned
  bool rope_interleaved = true;      // pairs (x[2i], x[2i+1]); otherwise halves (x[i], x[i + head_dim/2])
  double embedding_scale = 1, residual_scale = 1, logit_scale = 1;  // multiply embeddings, branches, logits
  double logit_softcap = 0;
  int64_t bos_id = 0;
  std::vector<int64_t> eos_ids;
  double inner_lr = 1, inner_clip = 1;  // eta and c of the inner step
  InnerRule inner;
  double init_std = 0.02;
  int64_t trained_length = 8192;
  MixerSizes mixers;
  std::vector<LayerSpec> layers;  // empty where all layers are alike, otherwise num_layers

  const LayerSpec& layer(int64_t i) const { return layers.empty() ? *this : layers[static_cast<size_t>(i)]; }
  /// Calls `change` with every LayerSpec there is.
  template <class Change>
  void change_layers(const Change& change) {
    change(static_cast<LayerSpec&>(*this));
    for (LayerSpec& one : layers) change(one);
  }
  /// Calls `change(layer, i)` for each layer i, so that they may differ; what all have afterwards is said once.
  template <class Change>
  void each_layer(const Change& change) {
    if (layers.empty()) layers.assign(static_cast<size_t>(num_layers), *this);
    for (size_t i = 0; i < layers.size(); ++i) change(layers[i], static_cast<int64_t>(i));
    join_layers();
  }
  /// Empties `layers` if they are alike, and makes the model what they are.
  void join_layers();

  bool has(MixerKind mixer) const;
  /// Of the layer whose attention sees furthest; 1 if none has attention.
  int64_t widest_window() const;
  /// Index of the first suffix block.
  int64_t prefix_len() const { return num_layers - suffix_len; }
};

/// How many of a head's numbers a layer rotates. Pairs that it does not rotate come last: (x[2i], x[2i+1]), or
/// (x[i], x[i + head_dim/2]), whose files' rows are ordered for that when they are read (store/foreign_layout.h).
int64_t rotated_dim(const ModelConfig& config, const LayerSpec& layer);

/// Error naming `where` and the field if a value is missing, out of bounds, contradicts another, or asks for what
/// cannot be computed yet.
void validate(const ModelConfig& config, std::string_view where);

/// config.json in ingrain's own format (docs/formats.md); unknown keys are errors with a suggestion.
ModelConfig parse_config(const nlohmann::json& json, std::string_view where);
nlohmann::json to_json(const ModelConfig& config);
ModelConfig load_config(const std::filesystem::path& path);
/// Every key that config.json may have.
std::vector<std::string> config_keys();

/// A preset of docs/training.md: "125m", "350m", "760m", "1b", "3b". UsageError if there is none of that name.
ModelConfig preset(std::string_view name);
std::vector<std::string> preset_names();

}  // namespace ingrain
