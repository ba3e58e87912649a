// Qwen2 and Qwen2.5 (dense): biases on q, k and v, none on the output, whatever `attention_bias` says.
#include "families/family.h"

namespace ingrain::families {
namespace {

void read_qwen2(const Field& fields, ModelConfig& config) {
  config.change_layers([](LayerSpec& layer) { layer.qkv_bias = true; });
  read_windows_from_a_layer_on(fields, config);
}

}  // namespace

Family qwen2() {
  Family family;
  family.model_type = family.gguf = "qwen2";
  family.architecture = "Qwen2";
  family.read_config = read_qwen2;
  family.written_to_gguf = {.may_have_bias = true};
  return family;
}

}  // namespace ingrain::families
