#include "families/gguf_keys.h"

#include "base/error.h"

#include <cmath>

namespace ingrain::families {

std::string GgufKeys::key(std::string_view name) const { return fmt::format("{}.{}", arch_, name); }

std::optional<int64_t> GgufKeys::size(std::string_view name, uint64_t most) const {
  const auto value = file_.get<uint64_t>(key(name));
  if (!value) return std::nullopt;
  require(*value >= 1 && *value <= most, "{}: metadata '{}' is {}; it must be from 1 to {}", file_.name(), key(name),
          *value, most);
  return static_cast<int64_t>(*value);
}

int64_t GgufKeys::need_size(std::string_view name, uint64_t most) const {
  file_.need<uint64_t>(key(name));  // says what is missing
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
