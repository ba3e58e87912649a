// What is no text in UTF-8, and would be read as something else without a word.
#pragma once

#include <string>
#include <string_view>

namespace ingrain::data {

/// "UTF-16LE", "UTF-16BE", "UTF-32LE" or "UTF-32BE", where text begins as that does: with its byte order mark, or with
/// zero bytes where characters of that encoding have them. Otherwise empty. `text`: all of it, or some thousand bytes
/// of its beginning.
std::string_view wide_encoding(std::string_view text);

/// Why what begins so is no text in UTF-8, and the remedy, as the end of a sentence about it: another encoding, or a
/// file of a known kind (base/file_kind.h). Empty if there is nothing to say.
std::string not_text(std::string_view head);

/// Error, naming `name` and the remedy, if not_text() says something.
void require_text(std::string_view text, std::string_view name);

/// "\xEF\xBB\xBF", which some editors of Windows write before UTF-8.
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";
constexpr std::string_view without_mark(std::string_view text) {
  return text.substr(text.starts_with(kUtf8Mark) ? kUtf8Mark.size() : 0);
}

}  // namespace ingrain::data
