// Text in another encoding than UTF-8, which would be read as something else without a word.
#pragma once

#include <string>
#include <string_view>

namespace ingrain::data {

/// "UTF-16LE", "UTF-16BE", "UTF-32LE" or "UTF-32BE", where text begins as that does: with its byte order mark, or with
/// a zero byte beside each of most letters. Otherwise empty. `text`: all of it, or some thousand bytes of its
/// beginning.
std::string_view wide_encoding(std::string_view text);

/// What is wrong with a text in such an encoding and the remedy, as the end of a sentence about it.
std::string not_utf8(std::string_view encoding);

/// Error, naming `name` and the remedy, if wide_encoding() says one.
void require_utf8(std::string_view text, std::string_view name);

/// "\xEF\xBB\xBF", which some editors of Windows write before UTF-8.
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";
constexpr std::string_view without_mark(std::string_view text) {
  return text.substr(text.starts_with(kUtf8Mark) ? kUtf8Mark.size() : 0);
}

}  // namespace ingrain::data
