#include "tiny_mixers.h"

#include "model/mixers/kinds.h"
#include "model/mixers/mixer.h"

#include <stdexcept>

namespace ingrain::test {

MixerKind mixer_named(const std::string& name) {
  for (const auto& [known, kind] : kMixerNames)
    if (name == known) return kind;
  throw std::invalid_argument(name);
}

std::vector<std::string> recurrent_mixers() {
  std::vector<std::string> out;
  for (const auto& [name, kind] : kMixerNames)
    if (mixer_of(kind).recurrent()) out.emplace_back(name);
  return out;
}

void give_tiny_sizes(ModelConfig& c) {
  c.mixers.of<GatedDeltaNetSizes>() = {.key_heads = 1, .value_heads = 2, .key_dim = 4, .value_dim = 6, .kernel = 3};
  c.mixers.of<GatedDeltaNet2Sizes>() = {.key_heads = 1, .value_heads = 2, .key_dim = 4, .value_dim = 6, .kernel = 3};
  c.mixers.of<KvBindingSizes>() = {.heads = 2, .head_dim = 4, .inner = 6, .mini_batch = 6, .base_rate = 0.5};
  c.mixers.of<InPlaceTttSizes>() = {.inner = 6, .chunk = 6, .rate = 0.02};
  c.mixers.of<Mamba2Sizes>() = {.heads = 4, .head_dim = 6, .groups = 2, .state_dim = 5, .kernel = 3};
}

}  // namespace ingrain::test
