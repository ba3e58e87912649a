// Words for people: names that come from files made safe to print, and suggestions for mistyped ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

/// `text` fit for an error message: control bytes and invalid UTF-8 become \xNN, at most `max_bytes` are
/// kept. Names in files are hostile: they may hold terminal escapes or be megabytes long.
std::string printable(std::string_view text, size_t max_bytes = 100);

/// Number of single-byte insertions, deletions and substitutions from `a` to `b`; O(|a| |b|).
size_t edit_distance(std::string_view a, std::string_view b);

/// Up to `count` of `candidates` that look like `name` or that it is the beginning of, closest first, in capitals or
/// not; none if nothing is close, and of beginnings none if they are more than `count`.
/// Bounded work: long names and more than 20,000 candidates are not looked at.
std::vector<std::string> close_names(std::string_view name, const std::vector<std::string>& candidates,
                                     size_t count = 3);

/// " (did you mean 'a' or 'b'?)" or nothing: the end of an error sentence about `name`.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

/// "1,234,567".
std::string with_commas(int64_t number);

/// "7.9 MB", "512 bytes": powers of ten.
std::string format_bytes(uint64_t bytes);

}  // namespace ingrain
