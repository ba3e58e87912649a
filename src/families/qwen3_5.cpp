// Qwen3.5 (dense), its text model: of four layers three have a Gated DeltaNet, and every fourth full attention with a
// gate on its output, which rotates a quarter of each head. Norms hold less 1, but for the Gated DeltaNets'.
#include "families/family.h"

#include "model/mixers/kinds.h"

namespace ingrain::families {
namespace {

/// Whether a layer has a Gated DeltaNet: by `layer_types`, or else all but every `full_attention_interval`-th.
std::vector<bool> linear_layers(const Field& fields, int64_t num_layers) {
  std::vector<bool> out;
  for (const std::string& type : layer_types(fields, num_layers, {"full_attention", "linear_attention"}))
    out.push_back(type == "linear_attention");
  if (!out.empty()) return out;
  const int64_t interval = size(fields, "full_attention_interval").value_or(4);
  for (int64_t i = 0; i < num_layers; ++i) out.push_back((i + 1) % interval != 0);
  return out;
}

void read_qwen3_5(const Field& fields, ModelConfig& config) {
  read_attention_bias(fields, config);
  const std::vector<bool> linear_L = linear_layers(fields, config.num_layers);
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    layer.qk_norm = true;
    if (linear_L[static_cast<size_t>(i)])
      layer.mixer = MixerKind::gated_delta_net;
    else
      layer.output_gate = true;
  });
  if (!config.has(MixerKind::gated_delta_net)) return;
  if (fields.string("hidden_act") == "gelu_pytorch_tanh")
    fields.at("hidden_act").refuse("is 'gelu_pytorch_tanh': the Gated DeltaNets' convolutions have SiLU alone");
  auto& sizes = config.mixers.of<GatedDeltaNetSizes>();
  sizes.fields([&](const char* key, auto member) { sizes.*member = *size(fields, key, 65536); });
}

}  // namespace

Family qwen3_5() {
  Family family;
  family.model_type = "qwen3_5_text";
  family.architecture = "Qwen3_5";
  family.also = "its text model";
  family.rotates_part = family.rope_of_places = true;
  // Files of models for text and images leave out what the class has.
  family.defaults = R"({"vocab_size": 248320, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 32768,
    "partial_rotary_factor": 0.25, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
    "linear_value_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32})";
  family.layout = {.gate_in_q = true, .norms_less_one = true};
  family.read_config = read_qwen3_5;
  return family;
}

}  // namespace ingrain::families
