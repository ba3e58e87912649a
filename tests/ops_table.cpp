#include "ops_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace ingrain::test {

bool Case::is_wide(size_t i) const { return std::ranges::count(wide, i) > 0; }
bool Case::has_constant_tangent(size_t i) const { return std::ranges::count(constant_tangents, i) > 0; }

Case new_case(const std::string& name, int64_t planes) {
  Case c;
  c.name = fmt::format("{}_P{}", name, planes);
  c.planes = planes;
  c.finish = [](const Tensors& y, const Tensors& dy) {
    Tensors out;
    for (size_t i = 0; i < y.size(); ++i) out.push_back(dy.empty() ? y[i].unsqueeze(0) : at::stack({y[i], dy[i]}));
    return out;
  };
  return c;
}

}  // namespace ingrain::test
