// Mistral: Llama with a size of heads of its own and a sliding window in all layers; Ministral: in those that
// `layer_types` names; Ministral 3: queries that grow with their position. GGUF files of the first are called llama.
#include "families/family.h"

#include "base/error.h"

namespace ingrain::families {
namespace {

/// Its class has a window or fails, whatever its layers are.
void read_ministral(const Field& fields, ModelConfig& config) {
  if (!size(fields, "sliding_window")) fields.missing("sliding_window");
  read_sliding_window(fields, config);
}

void read_ministral3(const Field& fields, ModelConfig& config) {
  read_window_of_all(fields, config);
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const auto rope = fields.find(name);
    if (!rope) continue;
    const auto beta = rope->number("llama_4_scaling_beta", 0, 1e6);
    if (!beta) rope->missing("llama_4_scaling_beta");
    if (!size(*rope, "original_max_position_embeddings")) rope->missing("original_max_position_embeddings");
    config.change_layers([&](LayerSpec& layer) { layer.query_growth = *beta; });
  }
}

/// llama.cpp calls it a temperature; its length is the one before stretching.
void read_ministral3_gguf(const GgufKeys& keys, ModelConfig& config) {
  config.query_growth = keys.number("attention.temperature_scale").value_or(0);
}

void write_ministral3_gguf(const ModelConfig& config, const GgufKeyWriter& keys) {
  if (config.layer(0).query_growth > 0) keys.number("attention.temperature_scale", config.layer(0).query_growth);
}

}  // namespace

Family mistral() {
  Family family;
  family.model_type = "mistral";
  family.architecture = "Mistral";
  family.also = "its GGUF files say llama";
  family.defaults = R"({"sliding_window": 4096})";
  family.read_config = read_window_of_all;
  return family;
}

Family ministral() {
  Family family;
  family.model_type = "ministral";
  family.architecture = "Ministral";
  family.defaults = R"({"sliding_window": 4096})";
  family.read_config = read_ministral;
  return family;
}

Family ministral3() {
  Family family;
  family.model_type = "ministral3";
  family.architecture = "Ministral3";
  family.gguf = "mistral3";
  family.pairs_in_gguf = true;
  family.head_dim = 128;
  family.defaults = R"({"rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0,
    "factor": 16.0, "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0,
    "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1}})";
  family.read_config = read_ministral3;
  family.read_gguf = read_ministral3_gguf;
  family.written_to_gguf = {.write = write_ministral3_gguf};
  return family;
}

}  // namespace ingrain::families
