// Bytes as printable text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ingrain::tokenizer {

/// Nothing if `text` is not base64 with its padding.
std::optional<std::string> read_base64(std::string_view text);
std::string write_base64(std::string_view bytes);

}  // namespace ingrain::tokenizer
