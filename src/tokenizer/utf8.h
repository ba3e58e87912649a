// UTF-8 as it arrives from outside, and the printable alphabet in which byte-level vocabularies are written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ingrain::tokenizer {

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

/// Length of the longest valid prefix of text[position..].
size_t valid_utf8_length(std::string_view text, size_t position);

/// `bytes` with every invalid or truncated sequence replaced by U+FFFD, one for each maximal subpart:
/// what Python's bytes.decode(errors="replace") and Rust's from_utf8_lossy give.
std::string utf8_lossy(std::string_view bytes);

/// A byte string in the alphabet of GPT-2's vocabulary files: printable Latin-1 bytes stand for themselves,
/// the others for U+0100, U+0101, ... in order (a space is "Ġ").
std::string write_bytes(std::string_view bytes);
/// The inverse; nothing if `written` holds a character outside the alphabet or is not UTF-8.
std::optional<std::string> read_bytes(std::string_view written);

/// Unicode's White_Space, and the word characters of single_word tokens (letters, marks, decimal and letter
/// numbers, connectors, joiners).
bool is_white_space(char32_t character);
bool is_word_character(char32_t character);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// `text` (valid UTF-8) in a Unicode normal form, by the tables of Unicode 9 as in PyPI's tokenizers: younger
/// characters that later tables reorder or decompose stay as and where they are.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace ingrain::tokenizer
