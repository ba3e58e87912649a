// Configurations of other programs' models as ours: Hugging Face's config.json and GGUF's metadata, of every supported
// family (families/family.h).
#pragma once

#include "families/layout.h"
#include "formats/gguf.h"
#include "model/config.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace ingrain::families {

/// A model of another program: what it is as one of ours, and how its files hold it.
struct Description {
  ModelConfig config;
  TensorLayout layout = {};
};

/// The configuration of a model without fast weights (suffix_len 0). `generation_json`, where not empty, is the
/// generation_config.json beside it: its eos ids replace the others. `source` names the file in errors. Error naming
/// file, field and remedy for what is missing, impossible or not supported. Of a model for text and images it is the
/// part for text ("text_config").
Description describe_hugging_face(std::string_view config_json, std::string_view generation_json,
                                  const std::string& source);
inline ModelConfig parse_hugging_face(std::string_view config_json, std::string_view generation_json,
                                      const std::string& source) {
  return describe_hugging_face(config_json, generation_json, source).config;
}

/// The same for a folder that holds config.json and perhaps generation_config.json.
Description read_hugging_face(const std::filesystem::path& folder);

/// The same from a GGUF file. Reads the directory of tensors, too: biases, norms of q and k and a tied head show there
/// only.
Description read_gguf(const formats::Gguf& file);

}  // namespace ingrain::families
