#include "serve/api/fields.h"

#include "base/json.h"
#include "base/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::serve::api {

Json parse_body(std::string_view body) {
  Json out;
  try {
    out = parse_ordered_json(body, "the request's body");
  } catch (const Error& e) {
    refuse("", "{}", e.what());
  }
  if (!out.is_object()) refuse("", "the request's body must be a JSON object");
  return out;
}

int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string element(std::string_view list, size_t index) { return fmt::format("{}[{}]", list, index); }

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object()) refuse(path_, "'{}' must be an object", path_);
}

std::string Fields::path(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

const Json* Fields::take(std::string_view name) {
  read_.emplace(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json& Fields::need(std::string_view name) {
  const Json* value = take(name);
  if (value == nullptr) {
    throw ApiError(400, "invalid_request_error", "missing_required_parameter", path(name),
                   fmt::format("'{}' is required", path(name)));
  }
  return *value;
}

std::optional<std::string> Fields::string(std::string_view name) {
  const Json* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(path(name), "'{}' must be a string, not {}", path(name), value->type_name());
  return value->get<std::string>();
}

std::string Fields::need_string(std::string_view name) {
  need(name);
  return *string(name);
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const Json* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse(path(name), "'{}' must be true or false, not {}", path(name), value->type_name());
  return value->get<bool>();
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t least, int64_t greatest) {
  const Json* value = take(name);
  if (value == nullptr) return std::nullopt;
  int64_t out = 0;
  if (value->is_number_unsigned()) {
    const auto number = value->get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) refuse(path(name), "'{}' must be at most {}", path(name), greatest);
    out = static_cast<int64_t>(number);
  } else if (value->is_number_integer()) {
    out = value->get<int64_t>();
  } else if (value->is_number_float() && std::abs(value->get<double>()) < 1e15 &&
             value->get<double>() == std::floor(value->get<double>())) {
    out = static_cast<int64_t>(value->get<double>());  // clients in JavaScript write 16.0 now and then
  } else {
    refuse(path(name), "'{}' must be an integer, not {}", path(name),
           value->is_number() ? dump(*value) : value->type_name());
  }
  if (out < least || out > greatest)
    refuse(path(name), "'{}' is {}; it must be from {} to {}", path(name), out, least, greatest);
  return out;
}

std::optional<double> Fields::number(std::string_view name, double least, double greatest) {
  const Json* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) refuse(path(name), "'{}' must be a number, not {}", path(name), value->type_name());
  const auto out = value->get<double>();
  if (!(out >= least && out <= greatest))
    refuse(path(name), "'{}' is {}; it must be from {} to {}", path(name), out, least, greatest);
  return out;
}

std::optional<std::string> Fields::word(std::string_view name, std::initializer_list<std::string_view> words) {
  auto out = string(name);
  if (out && std::find(words.begin(), words.end(), *out) == words.end())
    refuse(path(name), "'{}' is '{}'; it must be one of: {}", path(name), printable(*out), fmt::join(words, ", "));
  return out;
}

const Json* Fields::array(std::string_view name, size_t most) {
  const Json* value = take(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) refuse(path(name), "'{}' must be a list, not {}", path(name), value->type_name());
  if (value->size() > most)
    refuse(path(name), "'{}' has {} elements; at most {} are taken", path(name), value->size(), most);
  return value;
}

const Json* Fields::object(std::string_view name) {
  const Json* value = take(name);
  if (value != nullptr && !value->is_object())
    refuse(path(name), "'{}' must be an object, not {}", path(name), value->type_name());
  return value;
}

void Fields::accept(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) read_.emplace(name);
}

void Fields::accept_only(std::string_view name, std::initializer_list<Json> values, const std::string& why) {
  const Json* value = take(name);
  if (value == nullptr || std::find(values.begin(), values.end(), *value) != values.end()) return;
  refuse_unsupported(path(name), why.empty() ? "its value here is not one that is served" : why);
}

void Fields::finish() const {
  for (const auto& [name, value] : object_.items())
    if (!value.is_null() && !read_.contains(name)) refuse_unsupported(path(name));
}

}  // namespace ingrain::serve::api
