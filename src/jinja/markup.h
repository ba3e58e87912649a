// HTML in texts: tags and character references taken out.
#pragma once

#include "jinja/runtime.h"

#include <string>
#include <string_view>

namespace ingrain::jinja {

/// Character references (decimal, hexadecimal, HTML 4's names) as the characters themselves.
std::string unescape(std::string_view text);
/// Without tags and comments, white space as single blanks.
std::string without_tags(std::string_view text);
/// Whether there are cased letters, all of them upper (or lower) ones.
bool all_cased(std::string_view text, bool upper);
/// What only safe texts have.
const MethodTable& safe_text_methods();

}  // namespace ingrain::jinja
