// Llama 1 to 3.3, and all that have its layout, such as SmolLM2.
#include "families/family.h"

namespace ingrain::families {
namespace {

/// transformers ignores window fields here, so they say nothing.
void read_llama(const Field& fields, ModelConfig& config) {
  read_attention_bias(fields, config);
  read_mlp_bias(fields, config);
}

}  // namespace

Family llama() {
  Family family;
  family.model_type = family.gguf = "llama";
  family.architecture = "Llama";
  family.also = "SmolLM2 is one";
  family.pairs_in_gguf = true;
  family.read_config = read_llama;
  family.written_to_gguf.emplace();
  return family;
}

}  // namespace ingrain::families
