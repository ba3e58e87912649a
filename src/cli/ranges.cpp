#include "cli/ranges.h"

#include "base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace ingrain::cli {
namespace {

/// "a number from 0 to 60", "a number, 0 or more", "a finite number".
std::string number_words(double least, double greatest) {
  constexpr double kAny = std::numeric_limits<double>::max();
  if (greatest < kAny) return fmt::format("a number from {} to {}", least, greatest);
  return least > -kAny ? fmt::format("a number, {} or more", least) : "a finite number";
}

}  // namespace

CLI::Validator whole(const WholeRange& range) {
  const auto check = [range](std::string& text) {
    std::string fault = whole_number_fault(text, range);
    if (!fault.empty()) return fault;
    const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    const size_t first = std::min(text.find_first_not_of('0', sign), text.size() - 1);
    text = (text.starts_with('-') ? "-" : "") + text.substr(first);
    return fault;
  };
  std::string shown = in_words(range);  // in --help, after the type
  if (shown.starts_with(" from ")) return CLI::Validator(check, shown.substr(6), "");
  return CLI::Validator(check, "", "");
}

CLI::Validator real(double least, double greatest) {
  const auto check = [least, greatest](std::string& text) -> std::string {
    double number = 0;
    const size_t sign = text.starts_with('+') ? 1 : 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + sign, end, number);
    if (error == std::errc::invalid_argument || at != end)
      return fmt::format("'{}' is no number; it must be {}", printable(text), number_words(least, greatest));
    if (error != std::errc() || !(number >= least && number <= greatest))
      return fmt::format("{} is out of range; it must be {}", printable(text), number_words(least, greatest));
    return "";
  };
  return CLI::Validator(check, greatest < 1e300 ? fmt::format("{} to {}", least, greatest) : "", "");
}

CLI::Validator one_of(const std::vector<std::string>& words) {
  const auto check = [words](std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return "";
    return fmt::format("'{}' is not known; choose one of: {}{}", printable(text), fmt::join(words, ", "),
                       did_you_mean(text, words));
  };
  return CLI::Validator(check, fmt::format("{{{}}}", fmt::join(words, ",")), "");
}

}  // namespace ingrain::cli
