// Letters as Python's str knows them: full case mappings and the questions isalpha() and its kin ask.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ingrain::jinja {

/// str.upper, lower, casefold, swapcase, capitalize and title, with mappings to several letters and the final sigma.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string casefold(std::string_view text);
std::string swapcase(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);

bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);  // a letter that is a big and a small one
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);    // decimal, or raised, circled ...
bool is_numeric(char32_t c);  // digit, or fraction, Roman, CJK ...
bool is_alnum(char32_t c);
bool is_printable(char32_t c);
bool is_identifier_start(char32_t c);
bool is_identifier_part(char32_t c);
/// What a decimal digit of any script counts, or -1.
int decimal_value(char32_t c);

/// What Python's str.isspace() calls white space: Unicode's, and the separators U+001C to U+001F.
bool is_space(char32_t c);

}  // namespace ingrain::jinja
