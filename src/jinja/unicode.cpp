#include "jinja/unicode.h"

#include "base/utf8.h"
#include "jinja/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>

namespace ingrain::jinja {
namespace {

struct Range {
  char32_t first, last;
};
struct Special {
  char32_t character;
  const char32_t *upper, *title;
};
#include "jinja/unicode_tables.inc"

constexpr char32_t kCapitalSigma = 0x3A3, kSigma = 0x3C3, kFinalSigma = 0x3C2, kDottedI = 0x130;

bool listed(std::span<const Range> ranges, char32_t c) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t value, const Range& range) { return value < range.first; });
  return after != ranges.begin() && c <= (after - 1)->last;
}

const Special* special(char32_t c) {
  const auto found = std::lower_bound(std::begin(kSpecial), std::end(kSpecial), c,
                                      [](const Special& entry, char32_t value) { return entry.character < value; });
  return found != std::end(kSpecial) && found->character == c ? found : nullptr;
}

utf8proc_category_t category(char32_t c) {
  return c <= 0x10FFFF ? utf8proc_category(static_cast<utf8proc_int32_t>(c)) : UTF8PROC_CATEGORY_CN;
}

bool is_cased(char32_t c) { return is_lower(c) || is_upper(c) || is_title(c); }

/// What stands between letters of a word without being one: marks, modifiers, apostrophes.
bool is_case_ignorable(char32_t c) {
  static constexpr std::array<char32_t, 17> kMid = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                                    0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                                    0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  if (std::binary_search(kMid.begin(), kMid.end(), c)) return true;
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_SK;
}

void append_mapped(std::string& out, const char32_t* characters) {
  for (; *characters; ++characters) append_character(out, *characters);
}

void append_upper(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  } else if (const Special* several = special(c)) {
    append_mapped(out, several->upper);
  } else {
    append_character(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_title(std::string& out, char32_t c) {
  if (c < 0x80) {
    append_upper(out, c);
  } else if (const Special* several = special(c)) {
    append_mapped(out, several->title);
  } else {
    append_character(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
  }
}

/// Whether the sigma text[at, next) ends a word.
bool ends_word(std::string_view text, size_t at, size_t next) {
  bool cased_before = false;
  for (size_t i = at; i > 0;) {
    i = previous_character(text, i);
    size_t end = i;
    const char32_t c = next_character(text, end);
    if (is_case_ignorable(c)) continue;
    cased_before = is_cased(c);
    break;
  }
  if (!cased_before) return false;
  while (next < text.size()) {
    const char32_t c = next_character(text, next);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

void append_lower(std::string& out, std::string_view text, char32_t c, size_t at, size_t next) {
  if (c < 0x80)
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  else if (c == kDottedI)
    out += "i\xCC\x87";
  else if (c == kCapitalSigma)
    append_character(out, ends_word(text, at, next) ? kFinalSigma : kSigma);
  else
    append_character(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

/// Calls step(character, its start, its end) for each.
template <class Step>
void for_each_character(std::string_view text, Step step) {
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t c = next_character(text, at);
    step(c, start, at);
  }
}

}  // namespace

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](char32_t c, size_t, size_t) { append_upper(out, c); });
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](char32_t c, size_t at, size_t next) { append_lower(out, text, c, at, next); });
  return out;
}

std::string casefold(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, size_t, size_t) {
    std::array<utf8proc_int32_t, 8> folded{};
    int last_class = 0;
    const auto count = c >= 0xD800 && c < 0xE000
                           ? -1
                           : utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded.data(), folded.size(),
                                                     UTF8PROC_CASEFOLD, &last_class);
    if (count <= 0) append_character(out, c);
    for (utf8proc_ssize_t i = 0; i < count; ++i)
      append_character(out, static_cast<char32_t>(folded[static_cast<size_t>(i)]));
  });
  return out;
}

std::string swapcase(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, size_t at, size_t next) {
    if (is_upper(c))
      append_lower(out, text, c, at, next);
    else if (is_lower(c))
      append_upper(out, c);
    else
      append_character(out, c);
  });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c, size_t at, size_t next) {
    at == 0 ? append_title(out, c) : append_lower(out, text, c, at, next);
  });
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for_each_character(text, [&](char32_t c, size_t at, size_t next) {
    inside ? append_lower(out, text, c, at, next) : append_title(out, c);
    inside = is_cased(c);
  });
  return out;
}

bool is_lower(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z';
  return category(c) == UTF8PROC_CATEGORY_LL || listed(kOtherLower, c);
}

bool is_upper(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z';
  return category(c) == UTF8PROC_CATEGORY_LU || listed(kOtherUpper, c);
}

bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_alpha(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return decimal_value(c) >= 0; }
bool is_digit(char32_t c) { return is_decimal(c) || listed(kDigitNotDecimal, c); }

bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return is_digit(c) || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO || listed(kNumericNotDigit, c);
}

bool is_alnum(char32_t c) { return is_alpha(c) || is_numeric(c); }

bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  if (c >= 0xD800 && c < 0xE000) return false;
  const auto kind = category(c);
  return kind != UTF8PROC_CATEGORY_CN && !(kind >= UTF8PROC_CATEGORY_ZS && kind <= UTF8PROC_CATEGORY_CO);
}

bool is_identifier_start(char32_t c) { return c == '_' || is_alpha(c) || category(c) == UTF8PROC_CATEGORY_NL; }

bool is_identifier_part(char32_t c) {
  const auto kind = category(c);
  return is_identifier_start(c) || is_decimal(c) || kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
         kind == UTF8PROC_CATEGORY_PC || c == 0xB7 || c == 0x387 || (c >= 0x1369 && c <= 0x1371) || c == 0x19DA;
}

int decimal_value(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9' ? static_cast<int>(c - '0') : -1;
  const auto after = std::upper_bound(std::begin(kZeros), std::end(kZeros), c);
  if (after == std::begin(kZeros)) return -1;
  const char32_t past = c - *(after - 1);
  return past < 10 ? static_cast<int>(past) : -1;
}

bool is_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

}  // namespace ingrain::jinja
