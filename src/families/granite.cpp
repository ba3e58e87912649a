// Granite (dense): Llama with four factors, of embeddings, branches, attention's scores and logits. granite_swa:
// windows in three of four layers, a base of RoPE for each layer (0: none), and a score of each head's own beside all
// keys.
#include "families/family.h"

#include "base/error.h"

namespace ingrain::families {
namespace {

void read_granite(const Field& fields, ModelConfig& config) {
  read_attention_bias(fields, config);
  read_mlp_bias(fields, config);
  config.embedding_scale = fields.positive("embedding_multiplier").value_or(1);
  config.residual_scale = fields.positive("residual_multiplier").value_or(1);
  config.logit_scale = 1 / fields.positive("logits_scaling").value_or(1);
  const double scale = fields.positive("attention_multiplier").value_or(1);
  config.change_layers([&](LayerSpec& layer) { layer.attention_scale = scale; });
}

void read_granite_gguf(const GgufKeys& keys, ModelConfig& config) {
  config.embedding_scale = keys.number("embedding_scale").value_or(1);
  config.residual_scale = keys.number("residual_scale").value_or(1);
  config.logit_scale = 1 / keys.number("logit_scale").value_or(1);
  config.attention_scale = keys.number("attention.scale").value_or(0);
}

void write_granite_gguf(const ModelConfig& config, const GgufKeyWriter& keys) {
  keys.number("embedding_scale", config.embedding_scale);
  keys.number("residual_scale", config.residual_scale);
  keys.number("attention.scale", config.layer(0).attention_scale);
  keys.number("logit_scale", 1);  // it is in the final norm
}

bool granite_swa_slides(const Field&, int64_t layer) { return layer % 4 != 0; }

void read_granite_swa(const Field& fields, ModelConfig& config) {
  read_granite(fields, config);
  config.change_layers([](LayerSpec& layer) { layer.sink_logit = true; });
  read_sliding_window(fields, config, granite_swa_slides);
  const auto list = fields.find("layer_rope_theta");
  if (!list) return;
  const auto thetas = list->elements();
  if (static_cast<int64_t>(thetas.size()) != config.num_layers)
    list->refuse(fmt::format("must list {} layers, not {}", config.num_layers, thetas.size()));
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    const double theta = thetas[static_cast<size_t>(i)].number(0);
    layer.rotated = theta > 0;
    if (theta > 0) layer.rope_theta = theta;
  });
}

}  // namespace

Family granite() {
  Family family;
  family.model_type = family.gguf = "granite";
  family.architecture = "Granite";
  family.pairs_in_gguf = true;
  family.read_config = read_granite;
  family.read_gguf = read_granite_gguf;
  family.written_to_gguf = {.write = write_granite_gguf};
  return family;
}

Family granite_swa() {
  Family family;
  family.model_type = "granite_swa";
  family.architecture = "GraniteSWA";
  family.tied = true;
  family.defaults = R"({"rms_norm_eps": 1e-5, "sliding_window": 128, "num_key_value_heads": 4})";
  family.slides = granite_swa_slides;
  family.read_config = read_granite_swa;
  return family;
}

}  // namespace ingrain::families
