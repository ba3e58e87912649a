#include "base/text.h"

#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

namespace ingrain {
namespace {

constexpr size_t kMaxCandidates = 20'000;
constexpr size_t kMaxNameBytes = 256;

std::string in_lower_case(std::string_view ascii) {
  std::string out(ascii);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t at = 0;
  while (at < text.size() && out.size() < max_bytes) {
    const Utf8Step step = utf8_step(text, at);
    const size_t length = step.kind == Utf8::valid ? step.length : 0;
    const auto lead = static_cast<uint8_t>(text[at]);
    const bool c1_control = length == 2 && lead == 0xC2 && static_cast<uint8_t>(text[at + 1]) < 0xA0;
    if (length == 0 || lead < 0x20 || lead == 0x7F || c1_control) {
      out += fmt::format("\\x{:02x}", lead);
      at += 1;
      continue;
    }
    out += text.substr(at, length);
    at += length;
  }
  if (at < text.size()) out += "...";
  return out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

std::vector<std::string> close_names(std::string_view name, const std::vector<std::string>& candidates, size_t count) {
  std::vector<std::pair<size_t, const std::string*>> ranked;
  if (name.size() > kMaxNameBytes || candidates.size() > kMaxCandidates) return {};
  const std::string lower = in_lower_case(name);
  const size_t most = 1 + name.size() / 4;
  std::vector<const std::string*> begun;  // which the name is the beginning of
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxNameBytes) continue;
    const std::string known = in_lower_case(candidate);
    const bool begins = !lower.empty() && known.starts_with(lower);
    if (begins) begun.push_back(&candidate);
    if (const size_t distance = edit_distance(lower, known); !begins && distance <= most)
      ranked.emplace_back(distance, &candidate);
  }
  if (begun.size() <= count)  // the beginning of many tells none of them
    for (const std::string* candidate : begun) ranked.emplace_back(0, candidate);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min(count, ranked.size()); ++i) out.push_back(*ranked[i].second);
  return out;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  std::string out;
  for (const std::string& close : close_names(name, candidates)) {
    out += fmt::format("{}'{}'", out.empty() ? " (did you mean " : " or ", printable(close));
  }
  return out.empty() ? out : out + "?)";
}

std::string with_commas(int64_t number) {
  std::string digits = std::to_string(number);
  const size_t first = digits.starts_with('-') ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string format_bytes(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} {}", bytes, bytes == 1 ? "byte" : "bytes");
  const char* const units[] = {"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  for (; value >= 999.95 && unit < 3; ++unit) value /= 1000;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace ingrain
