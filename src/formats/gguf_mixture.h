// Which tensors of a quantized file get which type: what "q4_k_m" means. The rules are those of the files that are in
// use under these names, those of llama-quantize without an importance matrix.
#pragma once

#include "formats/gguf.h"

#include <string>
#include <string_view>
#include <vector>

namespace ingrain::formats {

struct GgufMixture {
  std::string_view name;  // "q4_k_m"
  uint32_t file_type;     // general.file_type
  GgufType type;          // of what no rule makes another
};

/// All that can be made.
const std::vector<GgufMixture>& gguf_mixtures();
/// The one of that name; null if there is none.
const GgufMixture* find_mixture(std::string_view name);

/// What the rules ask of a model.
struct MixedModel {
  int64_t layers = 0;
  int64_t heads = 0, kv_heads = 0;
  bool tied = false;  // the embedding is the head, too
};

/// The type that a tensor of GGUF's name gets, whose own is `source`: that one where it is no matrix of weights.
GgufType mixed_type(const GgufMixture& mixture, const MixedModel& model, std::string_view name,
                    const std::vector<uint64_t>& shape, GgufType source);

}  // namespace ingrain::formats
