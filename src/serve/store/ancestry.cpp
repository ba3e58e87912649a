#include "serve/store/ancestry.h"

#include <algorithm>
#include <unordered_map>

namespace ingrain::serve {

std::vector<StateRow> in_line(std::vector<StateRow> rows, const std::string& id) {
  std::unordered_map<std::string, StateRow> by_id;
  for (StateRow& row : rows) {
    std::string key = row.id;
    by_id.emplace(std::move(key), std::move(row));
  }
  std::vector<StateRow> out;
  for (std::string next = id; !next.empty(); next = out.back().parent) {
    const auto found = by_id.extract(next);  // none is met twice
    if (found.empty()) return {};
    out.push_back(std::move(found.mapped()));
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace ingrain::serve
