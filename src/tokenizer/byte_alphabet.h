// The printable alphabet in which byte-level vocabularies are written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ingrain::tokenizer {

/// A byte string in the alphabet of GPT-2's vocabulary files: printable Latin-1 bytes stand for themselves,
/// the others for U+0100, U+0101, ... in order (a space is "Ġ").
std::string write_bytes(std::string_view bytes);
/// The inverse; nothing if `written` holds a character outside the alphabet or is not UTF-8.
std::optional<std::string> read_bytes(std::string_view written);

}  // namespace ingrain::tokenizer
