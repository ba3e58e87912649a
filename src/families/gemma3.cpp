// Gemma 3's text model: norms before and after the branches, whose weights files hold less 1; GELU; embeddings times
// the square root of their size; five layers with a window to one without, which rotate by another base.
#include "families/family.h"

#include "base/error.h"

#include <cmath>

namespace ingrain::families {
namespace {

constexpr int64_t kGemma3Interval = 6;
constexpr double kGemma3LocalTheta = 10000;

bool gemma3_slides(const Field& fields, int64_t layer) {
  return (layer + 1) % size(fields, "sliding_window_pattern").value_or(kGemma3Interval) != 0;
}

/// What all its models are, in whichever files.
void be_gemma3(ModelConfig& config) {
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  config.change_layers([](LayerSpec& layer) { layer.qk_norm = layer.pre_norm = layer.post_norm = true; });
}

void read_gemma3(const Field& fields, ModelConfig& config) {
  for (const char* name : {"attn_logit_softcapping", "final_logit_softcapping"})
    if (const auto cap = fields.find(name))
      cap->refuse("is not supported: soft caps of scores and logits are Gemma 2's");
  if (fields.boolean("use_bidirectional_attention").value_or(false))
    fields.at("use_bidirectional_attention").refuse("is true, which is not supported: text is read from its beginning");
  be_gemma3(config);
  read_attention_bias(fields, config);
  const double scale = 1 / std::sqrt(fields.positive("query_pre_attn_scalar").value_or(256));
  config.change_layers([&](LayerSpec& layer) { layer.attention_scale = scale; });
  read_sliding_window(fields, config, gemma3_slides);
  if (!has_rope_by_layer_type(fields))
    rotate_sliding_layers_by(fields.positive("rope_local_base_freq").value_or(kGemma3LocalTheta), config);
}

void read_gemma3_gguf(const GgufKeys& keys, ModelConfig& config) {
  require(!keys.has("final_logit_softcapping") && !keys.has("attn_logit_softcapping"),
          "{}: metadata '{}': soft caps of scores and logits are not supported", keys.file().name(),
          keys.key("final_logit_softcapping"));
  be_gemma3(config);
  config.change_layers([](LayerSpec& layer) { layer.activation = Activation::gelu_tanh; });
  constexpr int64_t kLayersOf27B = 62;  // alone in scaling by the hidden size for each head, for which there is no key
  if (config.num_layers == kLayersOf27B) {
    const double scale = 1 / std::sqrt(static_cast<double>(config.hidden_size) / static_cast<double>(config.num_heads));
    config.change_layers([&](LayerSpec& layer) { layer.attention_scale = scale; });
  }
  if (keys.file().get<uint64_t>(keys.key("attention.sliding_window")).value_or(0) == 0) return;
  slide_all_but_every(keys.size("attention.sliding_window_pattern").value_or(kGemma3Interval),
                      keys.need_size("attention.sliding_window"), config);
  rotate_sliding_layers_by(keys.number("rope.freq_base_swa").value_or(kGemma3LocalTheta), config);
}

void write_gemma3_gguf(const ModelConfig& config, const GgufKeyWriter& keys) {
  for (int64_t i = 0; i < config.num_layers; ++i)
    if (!config.layer(i).full_attention()) return keys.number("rope.freq_base_swa", config.layer(i).rope_theta);
}

}  // namespace

Family gemma3() {
  Family family;
  family.model_type = "gemma3_text";
  family.architecture = "Gemma3";
  family.also = "its text model";
  family.gguf = "gemma3";
  family.rope_theta = 1000000;
  family.tied = true;
  family.head_dim = 256;
  // Files of models for text and images leave out what the class has.
  family.defaults = R"({"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
    "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 131072, "sliding_window": 4096,
    "hidden_activation": "gelu_pytorch_tanh", "bos_token_id": 2, "eos_token_id": 1})";
  family.activation = "hidden_activation";
  family.slides = gemma3_slides;
  family.rope_by_layer_type = true;
  family.layout = {.renamed = {{"self_attn_post_norm.weight", "post_attention_layernorm.weight"},
                               {"post_attention_layernorm.weight", "pre_feedforward_layernorm.weight"},
                               {"mlp_post_norm.weight", "post_feedforward_layernorm.weight"}},
                   .norms_less_one = true};
  family.read_config = read_gemma3;
  family.read_gguf = read_gemma3_gguf;
  family.written_to_gguf = {.norms_of_q_and_k = true, .write = write_gemma3_gguf};
  return family;
}

}  // namespace ingrain::families
