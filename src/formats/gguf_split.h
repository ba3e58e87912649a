// GGUF files in parts: NAME-00001-of-00003.gguf, ..., as llama-gguf-split and converters write them. The first part has
// the metadata; each says in split.no, split.count and split.tensors.count which it is of how many, and of how many
// tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ingrain::formats {

/// A file may have so many parts.
inline constexpr uint64_t kMaxGgufParts = 1000;

/// What the name of a part says.
struct GgufPartName {
  std::string stem;  // before "-00001-of-00003.gguf"
  uint64_t number;   // from 1
  uint64_t count;
};

/// Of a file's name; nothing where it is not that of a part.
std::optional<GgufPartName> gguf_part_name(const std::string& file_name);

/// Whether it is a name of a GGUF model: one file, or the first part of several.
bool names_gguf_model(const std::string& file_name);

}  // namespace ingrain::formats
