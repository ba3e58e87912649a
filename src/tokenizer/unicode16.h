// One Unicode version for every PCRE2: characters that it may not know yet are matched through stand-ins.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ingrain::tokenizer {

/// Split patterns mean Unicode 16 (as the published tokenizers do); PCRE2 10.42 knows Unicode 14, and its \s takes
/// U+180E for a space. Returns a copy of `text` (valid UTF-8) in which every character that Unicode 15 and 16
/// added is replaced by an old one of the same general category and the same UTF-8 length, so that matches in
/// the copy have the same offsets in the text. Nothing if no such character occurs.
std::optional<std::string> with_stand_ins(std::string_view text);

}  // namespace ingrain::tokenizer
