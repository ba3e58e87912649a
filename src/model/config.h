// What a model is: its shape and switches. One block definition serves every family (DESIGN.md section 2).
#pragma once

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
  enum class Kind { none, linear, llama3, yarn };
  Kind kind = Kind::none;
  double factor = 1;
  double original_max_position = 0;                  // llama3, yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  std::optional<double> attention_factor;            // yarn: multiplies cos and sin; default 0.1 ln(factor) + 1
};

struct ModelConfig {
  int64_t vocab_size = 0, hidden_size = 0, num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  int64_t mlp_size = 0;
  int64_t fast_mlp_size = 0;        // width of the fast MLPs; 0 if there are none
  int64_t suffix_len = 0;           // S: the last S blocks have a fast MLP
  int64_t window = kFullAttention;  // k: a query sees itself and the k - 1 positions before it
  int64_t chunk = 1024;             // b: tokens per inner step
  double rms_eps = 1e-6;
  bool qk_norm = true, post_norm = true;
  bool fast_post_norm = true;  // off for retrofitted models: under a post-norm a zero w2 has no usable slope
  bool qkv_bias = false;
  bool tie_embeddings = true;
  bool learned_inner_rates = false;  // one multiplier of inner_lr per suffix block, meta-learned
  double rope_theta = 500000;
  bool rope_interleaved = true;  // pairs (x[2i], x[2i+1]); otherwise halves (x[i], x[i + head_dim/2])
  RopeScaling rope_scaling;
  int64_t bos_id = 0;
  std::vector<int64_t> eos_ids;
  double inner_lr = 1, inner_clip = 1;  // eta and c of the inner step
  double init_std = 0.02;
  int64_t trained_length = 8192;

  static constexpr int64_t kFullAttention = std::numeric_limits<int64_t>::max() / 4;

  /// Index of the first suffix block.
  int64_t prefix_len() const { return num_layers - suffix_len; }
  bool full_attention() const { return window >= kFullAttention; }
};

/// Error naming `where` and the field if a value is missing, out of bounds or contradicts another.
void validate(const ModelConfig& config, std::string_view where);

/// config.json in ingrain's own format (docs/formats.md); unknown keys are errors with a suggestion.
ModelConfig parse_config(const nlohmann::json& json, std::string_view where);
nlohmann::json to_json(const ModelConfig& config);
ModelConfig load_config(const std::filesystem::path& path);

/// A preset of DESIGN.md section 2: "125m", "350m", "760m", "1b", "3b". UsageError if there is none of that name.
ModelConfig preset(std::string_view name);
std::vector<std::string> preset_names();

}  // namespace ingrain
