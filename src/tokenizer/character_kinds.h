// What Hugging Face's library makes of single characters, whatever version of Unicode the installed libraries know.
#pragma once

#include <string>

namespace ingrain::tokenizer {

/// Appends `character` in lower case by Unicode 17, as Rust's standard library has it: "İ" becomes two characters.
void append_lower_case(char32_t character, std::string& out);
/// Marks that combine, by Unicode 9.
bool is_combining_mark(char32_t character);

}  // namespace ingrain::tokenizer
