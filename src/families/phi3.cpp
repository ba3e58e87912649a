// Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: q, k and v in one tensor, gate and up in another; RoPE on a part of each head,
// stretched by factors for each pair.
#include "families/family.h"

namespace ingrain::families {
namespace {

void read_phi3(const Field& fields, ModelConfig& config) {
  read_window_of_all(fields, config);
  const RopeScaling::Kind kind = config.rope_scaling.kind;
  if (kind == RopeScaling::Kind::none || kind == RopeScaling::Kind::longrope) return;
  for (const char* name : {"rope_scaling", "rope_parameters"})
    if (const auto rope = fields.find(name))
      rope->refuse("must be of the rope_type 'longrope': Phi3 models have no other");
}

/// A window of 0 is none.
void read_phi3_gguf(const GgufKeys& keys, ModelConfig& config) {
  const auto window = keys.file().get<uint64_t>(keys.key("attention.sliding_window")).value_or(0);
  if (window > 0 && window < static_cast<uint64_t>(LayerSpec::kFullAttention))
    config.window = static_cast<int64_t>(window);
}

}  // namespace

Family phi3() {
  Family family;
  family.model_type = family.gguf = "phi3";
  family.architecture = "Phi3";
  family.also = "Phi-4-mini is one";
  family.defaults = R"({"rms_norm_eps": 1e-5, "original_max_position_embeddings": 4096})";
  family.layout = {.fused = true};
  family.rotates_part = true;
  family.read_config = read_phi3;
  family.read_gguf = read_phi3_gguf;
  return family;
}

}  // namespace ingrain::families
