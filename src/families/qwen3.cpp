// Qwen3 (dense): norms of q and k, head by head.
#include "families/family.h"

namespace ingrain::families {
namespace {

void read_qwen3(const Field& fields, ModelConfig& config) {
  config.change_layers([](LayerSpec& layer) { layer.qk_norm = true; });
  read_attention_bias(fields, config);
  read_windows_from_a_layer_on(fields, config);
}

}  // namespace

Family qwen3() {
  Family family;
  family.model_type = family.gguf = "qwen3";
  family.architecture = "Qwen3";
  family.head_dim = 128;
  family.read_config = read_qwen3;
  family.written_to_gguf = {.norms_of_q_and_k = true};
  return family;
}

}  // namespace ingrain::families
