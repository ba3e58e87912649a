#include "cli/yes_or_no.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace ingrain::cli {
namespace {

std::string plain(std::string_view answer) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = answer.find_first_not_of(kBlank);
  if (first == answer.npos) return {};
  std::string out(answer.substr(first, answer.find_last_not_of(kBlank) - first + 1));
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

bool is_yes(std::string_view answer) {
  const std::string word = plain(answer);
  return word == "y" || word == "yes";
}

bool is_no(std::string_view answer) {
  const std::string word = plain(answer);
  return word.empty() || word == "n" || word == "no";
}

}  // namespace ingrain::cli
