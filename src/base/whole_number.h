// Whole numbers as people write them, on a command line, in a file of settings, in a request: read whole or refused,
// with the range in words. What does not fit a type is never cut to it.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace ingrain {

/// From `least` to `greatest`, both included; holds any range of int64_t or of uint64_t.
struct WholeRange {
  int64_t least = std::numeric_limits<int64_t>::min();
  uint64_t greatest = std::numeric_limits<int64_t>::max();

  template <std::integral Number>
  static constexpr WholeRange of(Number least = std::numeric_limits<Number>::min(),
                                 Number greatest = std::numeric_limits<Number>::max()) {
    return {static_cast<int64_t>(least), static_cast<uint64_t>(greatest)};
  }
  friend bool operator==(const WholeRange&, const WholeRange&) = default;
};

/// " from 1 to 64"; ", 1 or more" where only a type's own end is above (of 64 bits; `to_the_end`: it is named, too);
/// nothing for all of int64_t. Goes on from "a whole number".
std::string in_words(const WholeRange& range, bool to_the_end = false);

/// Decimal digits, perhaps after a sign, and nothing else.
bool is_whole_number(std::string_view text);

/// What is wrong with `text` as a number of the range: "'1.5' is no whole number; it must be a whole number from 1 to
/// 64". Nothing if it is one. Leading zeros mean nothing: "010" is ten.
std::string whole_number_fault(std::string_view text, const WholeRange& range);

/// The number that `text` is; nothing if it is none, or out of the range.
template <std::integral Number>
std::optional<Number> whole_number(std::string_view text, Number least = std::numeric_limits<Number>::min(),
                                   Number greatest = std::numeric_limits<Number>::max());

}  // namespace ingrain
