// What a model family is. Each has a file of its own: what it is called, and what its configurations mean beyond the
// fields that all share (hugging_face.cpp, gguf.cpp). Tensors have Llama's names, which are those of our own files
// (model/parameters.h), unless its layout says otherwise.
#pragma once

#include "base/json_fields.h"
#include "families/gguf_keys.h"
#include "families/layout.h"
#include "model/config.h"

#include <functional>

namespace ingrain::families {

/// How a model of ours is written to a GGUF file as one of a family.
struct WrittenToGguf {
  bool norms_of_q_and_k = false, may_have_bias = false;  // tensors that its models have, and may have
  /// Sets the keys that are its own, behind those of all (gguf_description.cpp).
  void (*write)(const ModelConfig& config, const GgufKeyWriter& keys) = nullptr;
};

struct Family {
  std::string_view model_type;    // config.json's "model_type"
  std::string_view architecture;  // config.json's "architectures", without "ForCausalLM" or "Model" at its end
  std::string_view gguf;          // general.architecture
  std::string_view also = "";     // what else is of this family, for people
  /// Whether llama.cpp's converter orders the rows of q and k for rotation of neighbouring pairs.
  bool pairs_in_gguf = false;
  double rope_theta = 10000;              // where a file says nothing
  bool tied = false;                      // where config.json says nothing
  const char* activation = "hidden_act";  // the field that names the MLP's
  int64_t head_dim = 0;                   // where config.json says nothing; 0: hidden_size / num_attention_heads
  /// What transformers' class has where config.json lacks a field: a JSON object.
  std::string_view defaults = "{}";
  /// Whether a layer has a sliding window where config.json has no `layer_types`; nullptr: none has.
  bool (*slides)(const Field& fields, int64_t layer) = nullptr;
  TensorLayout layout = {};         // of a Hugging Face folder
  bool rotates_part = false;        // whether heads may be rotated in part
  bool rope_of_places = false;      // whether RoPE may have an `mrope_section`, of places in images: text has none
  bool rope_by_layer_type = false;  // whether RoPE's fields may be an object for each type of layer
  /// Sets what the family has of its own. The common fields are set: sizes, RoPE for all layers, ids; norms after the
  /// branches and of q and k are off, there are no biases and windows.
  void (*read_config)(const Field& fields, ModelConfig& config) = nullptr;
  void (*read_gguf)(const GgufKeys& keys, ModelConfig& config) = nullptr;
  std::optional<WrittenToGguf> written_to_gguf = {};  // where models of ours are written as its
};

/// All families: a function of the name in a file of the name. A new one is named here.
// clang-format off: it wavers between two forms of this
#define INGRAIN_FAMILIES(FAMILY) \
  FAMILY(llama) FAMILY(qwen2) FAMILY(qwen3) FAMILY(qwen3_5) FAMILY(smollm3) FAMILY(mistral) FAMILY(ministral) FAMILY(ministral3) \
  FAMILY(gemma3) FAMILY(granite) FAMILY(granite_swa) FAMILY(olmo2) FAMILY(olmo3) FAMILY(phi3)
// clang-format on
#define INGRAIN_DECLARE_FAMILY(name) Family name();
INGRAIN_FAMILIES(INGRAIN_DECLARE_FAMILY)
#undef INGRAIN_DECLARE_FAMILY

// What several families read.

/// `layer_types`, checked: one of `known` for each layer; empty where the file has none.
std::vector<std::string> layer_types(const Field& fields, int64_t num_layers,
                                     std::vector<std::string> known = {"full_attention", "sliding_attention"});

/// A number of things, from 1 to `most`; nothing where the file has none.
constexpr int64_t kMaxSize = int64_t{1} << 31;
inline std::optional<int64_t> size(const Field& fields, const char* name, int64_t most = kMaxSize) {
  return fields.integer(name, 1, most);
}

/// `attention_bias` (on q, k, v and the output) and `mlp_bias`.
void read_attention_bias(const Field& fields, ModelConfig& config);
void read_mlp_bias(const Field& fields, ModelConfig& config);
/// `sliding_window`, where `use_sliding_window` is true, in the layers that `layer_types` names "sliding_attention", or
/// else in those that `windowed` says. Refused: layers that are named so, and no window.
void read_windows(const Field& fields, ModelConfig& config,
                  const std::function<bool(int64_t layer, const LayerSpec&)>& windowed);
/// `sliding_window`, where it is a number: in the layers that `layer_types` names "sliding_attention", or else in those
/// that `slides` says (nullptr: in all). Refused as there.
void read_sliding_window(const Field& fields, ModelConfig& config,
                         bool (*slides)(const Field& fields, int64_t layer) = nullptr);
/// `sliding_window`, where it is a number: in all layers, whatever `layer_types` says.
void read_window_of_all(const Field& fields, ModelConfig& config);
/// Whether RoPE's fields are an object for each type of layer.
bool has_rope_by_layer_type(const Field& fields);
/// Layers that slide rotate by `theta`, unstretched: what older files say of RoPE is of the others.
void rotate_sliding_layers_by(double theta, ModelConfig& config);
/// Every `interval`-th layer sees all, the others as far as the window.
void slide_all_but_every(int64_t interval, int64_t window, ModelConfig& config);
/// The same, from `max_window_layers` on, as Qwen has it.
void read_windows_from_a_layer_on(const Field& fields, ModelConfig& config);

}  // namespace ingrain::families
