// What a backslash begins in a split pattern, and what stands between brackets.
#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/pattern_translator.h"

namespace ingrain::tokenizer {
namespace {

constexpr std::string_view kHexDigits = "0-9A-Fa-f";

bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// What may stand between [: and :] in Oniguruma's classes. Alphabetic and lower-case characters are not the same in
/// both libraries' versions of Unicode.
std::string_view posix_class(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kClasses[] = {
      {"digit", R"(\p{Nd})"},        {"space", R"(\s)"},     {"xdigit", kHexDigits},   {"ascii", R"(\x00-\x7F)"},
      {"upper", R"(\p{Uppercase})"}, {"cntrl", R"(\p{Cc})"}, {"blank", R"(\p{Zs}\t)"}, {"punct", R"(\p{P}\p{S})"}};
  for (const auto& [known, meaning] : kClasses)
    if (known == name) return meaning;
  return {};
}

}  // namespace

void PatternTranslator::escape(bool in_class) {
  if (at_ + 1 >= in_.size()) return copy(1);
  const char kind = in_[at_ + 1];
  switch (kind) {
    case 'p':
    case 'P': return property_escape(kind);
    case 'w':
    case 'W': return word_escape(kind, in_class);
    case 'h':
    case 'H': return hexadecimal_class(kind, in_class);
    case 'd':
    case 'D':
    case 's':
    case 'S':
    case 't':
    case 'n':
    case 'r':
    case 'f':
    case 'a':
    case 'e': return copy(2);
    case 'v': return replace(2, R"(\x0B)");
    case 'x':
    case 'u': return code_point();
    case 'U':
      if (!ruby_) return code_point();
      break;
    default: break;
  }
  if (!is_ascii_letter(kind) && !is_digit(kind)) return escaped_sign(kind);
  if (in_class)
    escape_in_class(kind);
  else
    escape_outside(kind);
}

void PatternTranslator::escaped_sign(char kind) {
  if (!ruby_ && (kind == '<' || kind == '>')) refuse("has \\{}, the edge of a word", kind);
  if (static_cast<uint8_t>(kind) < 0x80) return copy(2);
  ++at_;  // the backslash
  copy(utf8_step(in_, at_).length);
}

void PatternTranslator::escape_in_class(char kind) {
  if (ruby_ && kind == 'b') return replace(2, R"(\x08)");
  if (ruby_ && kind == '0') return octal();
  if (!ruby_ || is_digit(kind) || kind == 'c' || kind == 'C' || kind == 'M' || kind == 'o')
    refuse("has \\{} inside a character class", kind);
  replace(2, std::string_view(&in_[at_ + 1], 1));  // a letter that is nothing special
}

void PatternTranslator::escape_outside(char kind) {
  switch (kind) {
    case 'b':
    case 'B':
      if (!ruby_ && peek(2) == '{') refuse("has \\{}{{", kind);
      return word_escape(kind, false);
    case 'A':
    case 'z':
    case 'K':
    case 'G': return copy(2);
    case 'Z':
      if (ruby_) return copy(2);
      break;
    case 'k':
      if (peek(2) == '<' || peek(2) == '\'') return copy(2);
      break;
    case 'R':
      if (ruby_) return replace(2, R"((?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}]))");
      break;
    case 'N':
      if (ruby_) return replace(2, R"([^\n])");
      break;
    case 'O':
      if (ruby_) return replace(2, R"((?s:.))");
      break;
    case '0':
      if (ruby_) return octal();
      break;
    case 'X':
    case 'y':
    case 'Y':
    case 'g':
    case 'c':
    case 'C':
    case 'M':
    case 'o': break;
    default:
      if (is_digit(kind) && !is_digit(peek(2))) return copy(2);
      if (ruby_ && is_ascii_letter(kind)) return replace(2, std::string_view(&in_[at_ + 1], 1));
  }
  refuse("has \\{}", kind);
}

/// Up to two octal digits after the zero.
void PatternTranslator::octal() {
  size_t count = 2;
  while (count < 4 && peek(count) >= '0' && peek(count) <= '7') ++count;
  out_ += fmt::format("\\x{{{:x}}}", octal_value(in_.substr(at_ + 1, count - 1)));
  at_ += count;
}

uint32_t PatternTranslator::octal_value(std::string_view digits) {
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  return value;
}

/// \xHH, \x{...}, \uHHHH; in Rust's syntax also \u{...} and \UHHHHHHHH. Oniguruma's \xHH is a byte, of which several
/// make a character.
void PatternTranslator::code_point() {
  const char kind = in_[at_ + 1];
  if (peek(2) == '{') {
    const size_t close = in_.find('}', at_);
    const std::string_view digits = close == in_.npos ? std::string_view() : in_.substr(at_ + 3, close - at_ - 3);
    if ((ruby_ && kind == 'u') || digits.empty() || digits.size() > 8 ||
        !std::all_of(digits.begin(), digits.end(), is_hex_digit))
      refuse("has \\{} without a hexadecimal number", kind);
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ = close + 1;
    return;
  }
  const size_t wanted = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
  size_t count = 0;
  while (count < wanted && is_hex_digit(peek(2 + count))) ++count;
  if (count < wanted && !(ruby_ && kind == 'x')) refuse("has \\{} with fewer than {} digits", kind, wanted);
  uint32_t value = 0;
  std::from_chars(in_.data() + at_ + 2, in_.data() + at_ + 2 + count, value, 16);
  if (!ruby_ || kind != 'x' || value < 0x80) {
    out_ += fmt::format("\\x{{{:x}}}", value);
    at_ += 2 + count;
    return;
  }
  std::string bytes;
  while (next_is("\\x") && is_hex_digit(peek(2)) && is_hex_digit(peek(3))) {
    uint32_t byte = 0;
    std::from_chars(in_.data() + at_ + 2, in_.data() + at_ + 4, byte, 16);
    if (byte < 0x80 || (!bytes.empty() && byte >= 0xC0)) break;
    bytes += static_cast<char>(byte);
    at_ += 4;
  }
  if (bytes.empty() || utf8_step(bytes, 0).kind != Utf8::valid || utf8_step(bytes, 0).length != bytes.size())
    refuse("has \\x bytes that are no character");
  out_ += fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(utf8_decode(bytes, 0)));
}

void PatternTranslator::hexadecimal_class(char kind, bool in_class) {
  if (in_class && kind == 'H') refuse("has \\H inside a character class");
  replace(2, in_class ? std::string(kHexDigits) : (kind == 'h' ? "[" : "[^") + std::string(kHexDigits) + "]");
}

// PCRE2's own \w has no combining marks, but all numbers.
void PatternTranslator::word_escape(char kind, bool in_class) {
  if (in_class && kind != 'w') refuse("has \\W inside a character class");
  const std::string word = std::string(R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149})"
                                       R"(\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})") +
                           (ruby_ ? R"(\xB2\xB3\xB9\xBC-\xBE)" : R"(\x{200C}\x{200D})");
  if (in_class) {
    out_ += word;
  } else if (kind == 'w' || kind == 'W') {
    out_ += (kind == 'w' ? "[" : "[^") + word + "]";
  } else {
    const bool same = kind == 'B';  // both sides are word characters, or neither is
    out_ += "(?:(?<=[" + word + (same ? "])(?=[" : "])(?![") + word + "])|(?<![" + word + (same ? "])(?![" : "])(?=[") +
            word + "]))";
  }
  at_ += 2;
}

// \p{Han} is the script property in both dialects; PCRE2 would take it for the wider Script_Extensions. \pL without
// braces is a category in Rust's syntax and the letters p and L in Ruby's.
void PatternTranslator::property_escape(char kind) {
  if (peek(2) != '{') {
    if (ruby_) return replace(2, std::string_view(&in_[at_ + 1], 1));
    return copy(3);
  }
  const size_t close = in_.find('}', at_);
  if (close == in_.npos) return copy(2);
  std::string name(in_.substr(at_ + 3, close - at_ - 3));
  const bool negated = name.starts_with('^');
  if (negated) name.erase(0, 1);
  out_ += std::string("\\") + kind + "{" + (negated ? "^" : "") + property(name) + "}";
  at_ = close + 1;
}

// Case, blanks, hyphens and low lines in names mean nothing.
std::string PatternTranslator::property(const std::string& name) const {
  struct LongName {
    std::string_view name, category;
  };
  static constexpr LongName long_names[] = {{"letter", "L"},
                                            {"uppercaseletter", "Lu"},
                                            {"lowercaseletter", "Ll"},
                                            {"titlecaseletter", "Lt"},
                                            {"modifierletter", "Lm"},
                                            {"otherletter", "Lo"},
                                            {"mark", "M"},
                                            {"nonspacingmark", "Mn"},
                                            {"number", "N"},
                                            {"decimalnumber", "Nd"},
                                            {"letternumber", "Nl"},
                                            {"othernumber", "No"},
                                            {"punctuation", "P"},
                                            {"symbol", "S"},
                                            {"separator", "Z"},
                                            {"other", "C"}};
  static constexpr std::string_view binary[] = {"any", "uppercase", "whitespace", "ascii"};
  std::string plain;
  for (const char c : name)
    if (c != ' ' && c != '-' && c != '_') plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  if (ruby_ && (plain == "alphabetic" || plain == "lowercase" || plain == "emoji"))
    refuse("has the property '{}', of which libraries know different versions", printable(name));
  for (const LongName& entry : long_names)
    if (plain == entry.name) return std::string(entry.category);
  const bool as_it_is = name.size() <= 2 ||
                        std::find(std::begin(binary), std::end(binary), plain) != std::end(binary) ||
                        name.find_first_of("=:") != name.npos;
  return as_it_is ? name : "sc:" + name;
}

// -- classes ----------------------------------------------------------------------------------------------------------

void PatternTranslator::character_class() {
  copy(1);
  if (peek(0) == '^') copy(1);
  if (peek(0) == ']') copy(1);
  while (at_ < in_.size() && in_[at_] != ']') {
    if (in_[at_] == '\\') {
      escape(true);
      continue;
    }
    if (next_is("[:")) {
      posix();
      continue;
    }
    if (in_[at_] == '[' || next_is("&&") || (!ruby_ && (next_is("--") || next_is("~~"))))
      refuse("nests or combines character classes");
    if (!ruby_ && now().extended && skip_blank()) refuse("has blanks inside a character class under (?x)");
    if (ruby_ && now().fold && utf8_step(in_, at_).length > 1 && is_word_character(utf8_decode(in_, at_)))
      refuse("ignores case where one letter becomes several");
    copy(utf8_step(in_, at_).length);
  }
  copy(1);
}

void PatternTranslator::posix() {
  const size_t close = in_.find(":]", at_);
  if (close == in_.npos) return copy(in_.size());
  const std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
  const std::string_view meaning = ruby_ ? posix_class(name) : std::string_view();
  if (meaning.empty()) refuse("has the class [:{}:]", printable(name));
  out_ += meaning;
  at_ = close + 2;
}

}  // namespace ingrain::tokenizer
