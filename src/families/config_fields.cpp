#include "families/config_fields.h"

#include "base/error.h"

#include <cmath>

namespace ingrain::families {

using nlohmann::json;

ConfigFields::ConfigFields(const json& object, std::string source, std::string prefix)
    : object_(&object), source_(std::move(source)), prefix_(std::move(prefix)) {
  require(object.is_object(), "{}: {} is not an object", source_,
          prefix_.empty() ? "the file" : fmt::format("field '{}'", prefix_.substr(0, prefix_.size() - 1)));
}

const json* ConfigFields::find(const std::string& name) const {
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

std::optional<int64_t> ConfigFields::size(const std::string& name, int64_t most) const {
  const json* value = find(name);
  if (!value) return std::nullopt;
  const bool valid = value->is_number_integer() && *value >= 1 && *value <= most;
  require(valid, "{}: field '{}' must be a whole number from 1 to {}", source_, path(name), most);
  return value->get<int64_t>();
}

int64_t ConfigFields::need_size(const std::string& name, int64_t most) const {
  const auto value = size(name, most);
  require(value.has_value(), "{}: field '{}' is missing; is the file a model's config.json?", source_, path(name));
  return *value;
}

std::optional<double> ConfigFields::number(const std::string& name) const {
  const json* value = find(name);
  if (!value) return std::nullopt;
  const bool valid = value->is_number() && std::isfinite(value->get<double>()) && value->get<double>() > 0;
  require(valid, "{}: field '{}' must be a positive number", source_, path(name));
  return value->get<double>();
}

double ConfigFields::need_number(const std::string& name) const {
  const auto value = number(name);
  require(value.has_value(), "{}: field '{}' is missing", source_, path(name));
  return *value;
}

bool ConfigFields::flag(const std::string& name, bool otherwise) const {
  const json* value = find(name);
  require(!value || value->is_boolean(), "{}: field '{}' must be true or false", source_, path(name));
  return value ? value->get<bool>() : otherwise;
}

std::optional<std::string> ConfigFields::text(const std::string& name) const {
  const json* value = find(name);
  if (!value) return std::nullopt;
  require(value->is_string(), "{}: field '{}' must be a string", source_, path(name));
  return value->get<std::string>();
}

std::vector<int64_t> ConfigFields::ids(const std::string& name) const {
  const json* value = find(name);
  if (!value) return {};
  std::vector<int64_t> out;
  for (const json& id : value->is_array() ? *value : json::array({*value})) {
    require(id.is_number_integer() && id >= 0 && id <= kMaxSize, "{}: field '{}' must be a token's id or a list of ids",
            source_, path(name));
    out.push_back(id.get<int64_t>());
  }
  return out;
}

std::optional<ConfigFields> ConfigFields::inner(const std::string& name) const {
  const json* value = find(name);
  if (!value || (value->is_object() && value->empty())) return std::nullopt;
  return ConfigFields(*value, source_, path(name) + ".");
}

}  // namespace ingrain::families
