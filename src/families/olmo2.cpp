// OLMo 2: norms after the branches only, and norms of q and k over all their heads together. OLMo 3: windows in three
// of four layers, whose RoPE is not stretched. Both are one architecture in GGUF files.
#include "families/family.h"

namespace ingrain::families {
namespace {

constexpr int64_t kOlmo3Interval = 4;
constexpr double kOlmo3Theta = 500000;

void be_olmo(ModelConfig& config) {
  config.change_layers([](LayerSpec& layer) {
    layer.pre_norm = false;
    layer.post_norm = layer.qk_norm = layer.qk_norm_whole = true;
  });
}

void read_olmo2(const Field& fields, ModelConfig& config) {
  be_olmo(config);
  read_attention_bias(fields, config);
}

bool olmo3_slides(const Field&, int64_t layer) { return (layer + 1) % kOlmo3Interval != 0; }

void read_olmo3(const Field& fields, ModelConfig& config) {
  read_olmo2(fields, config);
  read_sliding_window(fields, config, olmo3_slides);
  if (!has_rope_by_layer_type(fields)) rotate_sliding_layers_by(kOlmo3Theta, config);
}

void read_olmo2_gguf(const GgufKeys& keys, ModelConfig& config) {
  be_olmo(config);
  const auto window = keys.size("attention.sliding_window");
  if (!window) return;
  slide_all_but_every(kOlmo3Interval, *window, config);
  rotate_sliding_layers_by(config.rope_theta, config);
}

TensorLayout olmo_layout() {
  return {.renamed = {{"self_attn_post_norm.weight", "post_attention_layernorm.weight"},
                      {"mlp_post_norm.weight", "post_feedforward_layernorm.weight"}}};
}

}  // namespace

Family olmo2() {
  Family family;
  family.model_type = family.gguf = "olmo2";
  family.architecture = "Olmo2";
  family.defaults = R"({"rms_norm_eps": 1e-5})";
  family.layout = olmo_layout();
  family.read_config = read_olmo2;
  family.read_gguf = read_olmo2_gguf;
  family.written_to_gguf = {.norms_of_q_and_k = true};
  return family;
}

Family olmo3() {
  Family family;
  family.model_type = "olmo3";
  family.architecture = "Olmo3";
  family.also = "its GGUF files say olmo2";
  family.rope_theta = kOlmo3Theta;
  family.defaults = R"({"rms_norm_eps": 1e-5, "sliding_window": 4096})";
  family.slides = olmo3_slides;
  family.rope_by_layer_type = true;
  family.layout = olmo_layout();
  family.read_config = read_olmo3;
  return family;
}

}  // namespace ingrain::families
