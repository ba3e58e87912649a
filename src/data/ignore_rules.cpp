#include "data/ignore_rules.h"

#include "base/error.h"
#include "base/files.h"

#include <fnmatch.h>

#include <algorithm>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxIgnoreFile = 1 << 20;

std::vector<std::string_view> split_at_slashes(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t slash = text.find('/');
    out.push_back(text.substr(0, slash));
    if (slash == text.npos) return out;
    text.remove_prefix(slash + 1);
  }
}

bool matches_name(std::string_view name, std::string_view pattern) {
  return ::fnmatch(std::string(pattern).c_str(), std::string(name).c_str(), 0) == 0;
}

}  // namespace

bool matches_ignore_pattern(std::string_view path, std::string_view pattern) {
  // Name by name; reach[i]: whether the pattern's parts so far match the path's first i names.
  const auto names = split_at_slashes(path), parts = split_at_slashes(pattern);
  std::vector<char> reach(names.size() + 1, 0);
  reach[0] = 1;
  for (size_t p = 0; p < parts.size(); ++p) {
    std::vector<char> next(names.size() + 1, 0);
    if (parts[p] == "**") {
      const size_t least = p + 1 == parts.size() ? 1 : 0;  // "a/**" is what is in a, not a itself
      for (size_t i = 0; i <= names.size(); ++i)
        if (reach[i])
          std::fill(next.begin() + static_cast<std::ptrdiff_t>(std::min(i + least, next.size())), next.end(), 1);
    } else {
      for (size_t i = 0; i < names.size(); ++i) next[i + 1] = reach[i] && matches_name(names[i], parts[p]);
    }
    reach = std::move(next);
  }
  return reach.back();
}

IgnoreRules IgnoreRules::above(const fs::path& folder) {
  IgnoreRules out;
  std::vector<fs::path> chain;
  std::error_code error;
  for (fs::path at = folder; at.has_relative_path(); at = at.parent_path()) {
    if (fs::exists(at / ".git", error)) {
      if (at == folder) return out;
      chain.push_back(at);
      for (auto up = chain.rbegin(); up != chain.rend(); ++up) out.enter(*up);
      return out;
    }
    if (at != folder) chain.push_back(at);
  }
  return out;
}

void IgnoreRules::enter(const fs::path& folder) {
  std::string text;
  try {
    std::error_code error;
    if (!fs::is_regular_file(folder / ".gitignore", error)) return;
    text = read_file(folder / ".gitignore", kMaxIgnoreFile);
  } catch (const Error&) {
    return;  // one that cannot be read says nothing
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      if (line.size() > 1 && line[line.size() - 2] == '\\') break;  // an escaped blank belongs to the name
      line.remove_suffix(1);
    }
    if (line.empty() || line[0] == '#') continue;
    Rule rule{.folder = folder.string() + "/", .pattern = {}};
    if (line[0] == '!') rule.exception = true, line.remove_prefix(1);
    if (line.ends_with('/')) rule.folders_only = true, line.remove_suffix(1);
    rule.whole_path = line.find('/') != line.npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    rule.pattern = line;
    if (!rule.pattern.empty()) rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::ignores(const fs::path& path, bool is_folder) const {
  const std::string whole = path.string();
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if ((rule->folders_only && !is_folder) || !whole.starts_with(rule->folder)) continue;
    const std::string_view below = std::string_view(whole).substr(rule->folder.size());
    const std::string_view name = below.substr(below.rfind('/') + 1);
    if (rule->whole_path ? matches_ignore_pattern(below, rule->pattern) : matches_name(name, rule->pattern))
      return !rule->exception;
  }
  return false;
}

}  // namespace ingrain::data
