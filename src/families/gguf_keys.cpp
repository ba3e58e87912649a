#include "families/gguf_keys.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace ingrain::families {

std::string GgufKeys::key(std::string_view name) const { return fmt::format("{}.{}", arch_, name); }

std::optional<uint64_t> GgufKeys::whole_number(std::string_view name) const {
  const auto found = file_.metadata().find(key(name));
  if (found == file_.metadata().end() || !std::holds_alternative<formats::GgufArray>(found->second))
    return file_.get<uint64_t>(key(name));
  const auto values = file_.need<std::vector<int64_t>>(key(name));
  const bool same = std::ranges::all_of(values, [&](int64_t x) { return x == values[0]; });
  require(!values.empty() && same && values[0] >= 0,
          "{}: metadata '{}' has other numbers for other layers, which is not supported", file_.name(), key(name));
  return static_cast<uint64_t>(values[0]);
}

std::optional<int64_t> GgufKeys::size(std::string_view name, uint64_t most) const {
  const auto value = whole_number(name);
  if (!value) return std::nullopt;
  require(*value >= 1 && *value <= most, "{}: metadata '{}' is {}; it must be from 1 to {}", file_.name(), key(name),
          *value, most);
  return static_cast<int64_t>(*value);
}

int64_t GgufKeys::need_size(std::string_view name, uint64_t most) const {
  if (!has(name)) file_.need<uint64_t>(key(name));  // says what is missing
  return *size(name, most);
}

std::optional<double> GgufKeys::number(std::string_view name) const {
  const auto value = file_.get<double>(key(name));
  require(!value || (std::isfinite(*value) && *value > 0), "{}: metadata '{}' must be a positive number", file_.name(),
          key(name));
  return value;
}

std::optional<std::string_view> GgufKeys::text(std::string_view name) const {
  return file_.get<std::string_view>(key(name));
}

}  // namespace ingrain::families
