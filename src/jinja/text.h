// Python's view of strings for templates: code points and white space. Strings are UTF-8; a byte that
// belongs to no valid sequence counts as one character of its own.
#pragma once

#include "jinja/unicode.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::jinja {

/// Decodes the character at `at` (< text.size()) and moves `at` behind it. An invalid byte gives 0xDC80 +
/// byte.
char32_t next_character(std::string_view text, size_t& at);
void append_character(std::string& out, char32_t character);

/// Where the character before `at` (> 0) starts.
size_t previous_character(std::string_view text, size_t at);

/// Number of characters.
size_t count_characters(std::string_view text);
/// One view per character.
std::vector<std::string_view> split_characters(std::string_view text);

enum class Side { Left, Right, Both };
/// str.strip, lstrip, rstrip: without `chars`, white space.
std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars = std::nullopt);

/// The byte at which the character of that number starts (or the end); nothing if there are fewer.
std::optional<size_t> byte_offset(std::string_view text, size_t characters);

/// str.splitlines.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);
/// str.split and str.rsplit; without `separator`, at runs of white space. `limit` < 0: no limit.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> split_right(std::string_view text, std::optional<std::string_view> separator,
                                          int64_t limit);

/// Position of `needle` at or after `from`, or npos. Linear time also in the worst case.
size_t find(std::string_view text, std::string_view needle, size_t from = 0);
/// str.replace; `limit` < 0: all.
std::string replace(std::string_view text, std::string_view old, std::string_view replacement, int64_t limit);

}  // namespace ingrain::jinja
