// What a model family is. Each has a file of its own: what it is called, and what its configurations mean beyond the
// fields that all share (hugging_face.cpp, gguf.cpp). Tensors have Llama's names, which are those of our own files
// (model/parameters.h).
#pragma once

#include "base/json_fields.h"
#include "families/gguf_keys.h"
#include "model/config.h"

#include <functional>

namespace ingrain::families {

struct Family {
  std::string_view model_type;    // config.json's "model_type"
  std::string_view architecture;  // config.json's "architectures", without "ForCausalLM" or "Model" at its end
  std::string_view gguf;          // general.architecture
  std::string_view also = "";     // what else is of this family, for people
  /// Whether llama.cpp's converter orders the rows of q and k for rotation of neighbouring pairs.
  bool pairs_in_gguf = false;
  double rope_theta = 10000;  // where a file says nothing
  bool tied = false;          // where config.json says nothing
  int64_t head_dim = 0;       // where config.json says nothing; 0: hidden_size / num_attention_heads
  /// Sets what the family has of its own. The common fields are set: sizes, RoPE for all layers, ids; norms after the
  /// branches and of q and k are off, there are no biases and windows.
  void (*read_config)(const Field& fields, ModelConfig& config) = nullptr;
  void (*read_gguf)(const GgufKeys& keys, ModelConfig& config) = nullptr;
};

/// All families: a function of the name in a file of the name. A new one is named here.
#define INGRAIN_FAMILIES(FAMILY) FAMILY(llama) FAMILY(qwen2) FAMILY(qwen3) FAMILY(smollm3)
#define INGRAIN_DECLARE_FAMILY(name) Family name();
INGRAIN_FAMILIES(INGRAIN_DECLARE_FAMILY)
#undef INGRAIN_DECLARE_FAMILY

// What several families read.

/// A number of things, from 1 to `most`; nothing where the file has none.
constexpr int64_t kMaxSize = int64_t{1} << 31;
inline std::optional<int64_t> size(const Field& fields, const char* name, int64_t most = kMaxSize) {
  return fields.integer(name, 1, most);
}

/// `attention_bias` (on q, k, v and the output) and `mlp_bias`.
void read_attention_bias(const Field& fields, ModelConfig& config);
void read_mlp_bias(const Field& fields, ModelConfig& config);
/// `sliding_window`, where `use_sliding_window` is true, in the layers that `layer_types` names "sliding_attention", or
/// else in those that `windowed` says.
void read_windows(const Field& fields, ModelConfig& config,
                  const std::function<bool(int64_t layer, const LayerSpec&)>& windowed);
/// The same, from `max_window_layers` on, as Qwen has it.
void read_windows_from_a_layer_on(const Field& fields, ModelConfig& config);

}  // namespace ingrain::families
