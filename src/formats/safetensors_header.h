// The JSON header of a safetensors file, parsed event by event: hostile headers cost no more than their size.
#pragma once

#include "formats/safetensors.h"

#include <optional>

namespace ingrain::formats {

struct SafetensorsHeader {
  std::map<std::string, TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses and checks `text`: structure, dtypes, dimensions, duplicate names, and that the tensors cover
/// [0, data_size) exactly. `path` is for error texts only. Throws Error.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_size,
                                           const std::filesystem::path& path);

/// The bytes of `shape` elements of `element_bits` each, or nothing if a dimension is negative, they end within a byte,
/// or their bits overflow (zero dimensions count as one for the overflow, so that strides fit too).
std::optional<uint64_t> shape_bytes(const std::vector<int64_t>& shape, size_t element_bits);

}  // namespace ingrain::formats
