// UTF-8 as it arrives from outside, and what kinds of characters there are. The one place that takes bytes apart;
// Unicode's tables are utf8proc's, so that nothing depends on a locale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ingrain {

/// What a first byte says of its character.
struct Utf8Lead {
  uint32_t length;                  // of the whole character; 0: no character begins so
  uint8_t second_low, second_high;  // the second byte's range excludes overlong forms and surrogates
};
constexpr Utf8Lead utf8_lead(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte < 0xF0) return {3, uint8_t(byte == 0xE0 ? 0xA0 : 0x80), uint8_t(byte == 0xED ? 0x9F : 0xBF)};
  if (byte < 0xF5) return {4, uint8_t(byte == 0xF0 ? 0x90 : 0x80), uint8_t(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

enum class Utf8 { valid, invalid, truncated };

/// What stands at `position` (< text.size()): a whole character; bytes that no continuation can make valid
/// (`length` is the maximal subpart of Unicode's recommended replacement, at least 1); or a proper beginning
/// of a character that the end of the text cuts off.
struct Utf8Step {
  Utf8 kind;
  uint32_t length;
};
Utf8Step utf8_step(std::string_view text, size_t position);

/// The character at `position`, where utf8_step() says valid.
char32_t utf8_decode(std::string_view text, size_t position);
void utf8_append(std::string& out, char32_t character);

/// Where the character begins that the byte at `at` (< text.size()) is of, not before `least`. In valid UTF-8.
size_t utf8_begin(std::string_view text, size_t at, size_t least = 0);

/// Length of the longest valid prefix of text[position..].
size_t valid_utf8_length(std::string_view text, size_t position);
inline bool is_utf8(std::string_view text) { return valid_utf8_length(text, 0) == text.size(); }
/// Number of characters in valid UTF-8.
size_t count_utf8(std::string_view text);

/// `bytes` with every invalid or truncated sequence replaced by U+FFFD, one for each maximal subpart:
/// what Python's bytes.decode(errors="replace") and Rust's from_utf8_lossy give.
std::string utf8_lossy(std::string_view bytes);

/// Unicode's White_Space.
bool is_white_space(char32_t character);
/// Letters, marks, decimal and letter numbers, connectors, joiners: what words are made of.
bool is_word_character(char32_t character);

/// A to Z and a to z alone, whatever the locale: names in files and protocols.
constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
/// 0 to 15; -1 for what is no hexadecimal digit.
constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = ascii_lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}
std::string in_ascii_lower(std::string_view text);
std::string in_ascii_upper(std::string_view text);

}  // namespace ingrain
