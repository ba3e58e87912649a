// What a decoder model is, as Hugging Face's config.json or GGUF's metadata say it, in one neutral form.
#pragma once

#include "formats/gguf.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::formats {

enum class RopeScalingType { none, linear, dynamic, llama3, yarn };

/// How rotary angles are stretched beyond the trained length. Which fields count depends on the type:
/// linear, dynamic: factor (and original_max_position for dynamic); llama3: factor, the two frequency factors
/// and original_max_position; yarn: factor, original_max_position, attention_factor, beta_fast, beta_slow.
struct RopeScaling {
  RopeScalingType type = RopeScalingType::none;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_position = 0;
  double attention_factor = 1;  // yarn: cos and sin are multiplied by it
  double beta_fast = 32, beta_slow = 1;
  /// If not empty, head_dim / 2 numbers by which the inverse frequencies are divided; then type is none.
  /// Llama 3's scaling is in this form in GGUF files (tensor rope_freqs.weight).
  std::vector<float> frequency_divisors;
};

struct DecoderDescription {
  std::string arch;  // "llama", "qwen2" or "qwen3"
  int64_t vocab_size = 0, hidden_size = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, intermediate_size = 0;
  double rms_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  /// Whether the rows of the q and k matrices are ordered for rotation of neighbouring pairs (x[2i],
  /// x[2i+1]); otherwise for halves (x[i], x[i + head_dim/2]). GGUF's converter reorders them for Llama
  /// models only.
  bool rope_interleaved = false;
  bool qk_norm = false, qkv_bias = false, o_bias = false, mlp_bias = false;
  bool tie_embeddings = false;
  std::vector<int64_t> bos_ids, eos_ids;
  int64_t max_positions = 0;
  std::optional<int64_t> sliding_window;  // in all layers; tokens seen, the token itself included
};

/// config.json of LlamaForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM (SmolLM2 is a Llama).
/// `generation_json`, where not empty, is the generation_config.json beside it: its eos ids replace the
/// others. `source` names the file in errors. Error naming file, field and remedy for what is missing,
/// impossible or not supported.
DecoderDescription parse_hf_config(std::string_view config_json, std::string_view generation_json,
                                   const std::string& source);

/// The same for a folder that holds config.json and perhaps generation_config.json.
DecoderDescription read_hf_config(const std::filesystem::path& folder);

/// The same from a GGUF file of architecture llama, qwen2 or qwen3. Reads the directory of tensors, too:
/// biases, norms of q and k and a tied head show there only.
DecoderDescription describe_gguf(const Gguf& file);

/// Error (beginning with `source`) unless the sizes fit each other.
void check_description(const DecoderDescription& description, const std::string& source);

/// yarn's attention factor where a file does not give one: 0.1 ln(factor) + 1.
double default_yarn_attention_factor(double factor);

}  // namespace ingrain::formats
