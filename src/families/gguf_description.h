// What a GGUF file says of one of our models: as a model of one of llama.cpp's architectures where it is one, else as
// one of our own ("ingrain"), which other programs do not read.
#pragma once

#include "formats/gguf_writer.h"
#include "model/config.h"

#include <optional>
#include <string>
#include <vector>

namespace ingrain::families {

/// general.architecture of files that only this program reads, and the key with config.json's text.
inline constexpr const char *kOwnArchitecture = "ingrain", *kOwnConfig = "ingrain.config";

struct GgufDescription {
  std::string architecture;
  formats::GgufWriter metadata;  // general.architecture, the model's sizes and switches
  bool pairs = false;            // rows of q and k as for the rotation of neighbouring pairs
  /// Tensors that say what other files have in their metadata: Llama 3's divisors, LongRoPE's factors.
  std::vector<std::pair<std::string, std::vector<float>>> tables;
};

/// The architecture whose metadata, read again (families/families.h), give this model; "ingrain" where none does.
GgufDescription describe_as_gguf(const ModelConfig& config);

}  // namespace ingrain::families
