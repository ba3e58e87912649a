// SmolLM3: Llama without RoPE in every fourth layer.
#include "families/family.h"

#include "base/error.h"

namespace ingrain::families {
namespace {

constexpr int64_t kInterval = 4;

/// `no_rope_layers`: for each layer 1 where it is rotated; or else every `no_rope_layer_interval`-th is not.
void read_smollm3(const Field& fields, ModelConfig& config) {
  read_attention_bias(fields, config);
  read_mlp_bias(fields, config);
  const auto list = fields.find("no_rope_layers");
  const std::vector<int64_t> rotated = list ? list->integers(0, 1) : std::vector<int64_t>();
  if (list && static_cast<int64_t>(rotated.size()) < config.num_layers)
    list->refuse(fmt::format("must list {} layers, not {}", config.num_layers, rotated.size()));
  const int64_t interval = size(fields, "no_rope_layer_interval").value_or(kInterval);
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    layer.rotated = list ? rotated[static_cast<size_t>(i)] == 1 : (i + 1) % interval != 0;
  });
  read_windows(fields, config, [](int64_t, const LayerSpec& layer) { return !layer.rotated; });
}

/// GGUF has no key for it: llama.cpp, too, takes every fourth.
void read_smollm3_gguf(const GgufKeys&, ModelConfig& config) {
  config.each_layer([](LayerSpec& layer, int64_t i) { layer.rotated = (i + 1) % kInterval != 0; });
}

}  // namespace

Family smollm3() {
  Family family;
  family.model_type = family.gguf = "smollm3";
  family.architecture = "SmolLM3";
  family.pairs_in_gguf = true;
  family.rope_theta = 2000000;
  family.tied = true;
  family.read_config = read_smollm3;
  family.read_gguf = read_smollm3_gguf;
  family.written_to_gguf.emplace();
  return family;
}

}  // namespace ingrain::families
