#include "base/whole_number.h"

#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ingrain {
namespace {

std::string_view without_plus(std::string_view text) { return text.starts_with('+') ? text.substr(1) : text; }

template <std::integral Number>
std::optional<Number> read_whole(std::string_view text) {
  if (!is_whole_number(text)) return std::nullopt;
  text = without_plus(text);
  if (std::is_unsigned_v<Number> && text.starts_with('-')) {  // "-0"
    if (text.find_first_not_of('0', 1) != text.npos) return std::nullopt;
    return Number{0};
  }
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() ? std::optional(out) : std::nullopt;
}

/// Whether the digits are of a number in the range.
bool lies_in(std::string_view text, const WholeRange& range) {
  if (const auto number = read_whole<int64_t>(text))
    return *number >= range.least && (*number < 0 || static_cast<uint64_t>(*number) <= range.greatest);
  const auto number = read_whole<uint64_t>(text);
  return number && *number <= range.greatest;  // above every int64_t, so above `least`
}

bool ends_with_its_type(const WholeRange& range) {
  return range.greatest == static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
         range.greatest == std::numeric_limits<uint64_t>::max();
}

}  // namespace

std::string in_words(const WholeRange& range, bool to_the_end) {
  if (!to_the_end && ends_with_its_type(range))
    return range.least == std::numeric_limits<int64_t>::min() ? "" : fmt::format(", {} or more", range.least);
  return fmt::format(" from {} to {}", range.least, range.greatest);
}

bool is_whole_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string whole_number_fault(std::string_view text, const WholeRange& range) {
  if (!is_whole_number(text))
    return fmt::format("'{}' is no whole number; it must be a whole number{}", printable(text), in_words(range));
  if (lies_in(text, range)) return "";
  const auto number = read_whole<int64_t>(text);
  const bool below = text.starts_with('-') || (number && *number < range.least);
  return fmt::format("{} is out of range; it must be a whole number{}", printable(text), in_words(range, !below));
}

template <std::integral Number>
std::optional<Number> whole_number(std::string_view text, Number least, Number greatest) {
  const auto number = read_whole<Number>(text);
  return number && *number >= least && *number <= greatest ? number : std::nullopt;
}

template std::optional<int32_t> whole_number(std::string_view, int32_t, int32_t);
template std::optional<int64_t> whole_number(std::string_view, int64_t, int64_t);
template std::optional<uint64_t> whole_number(std::string_view, uint64_t, uint64_t);

}  // namespace ingrain
