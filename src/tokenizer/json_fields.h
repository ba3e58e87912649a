// A JSON value that knows where it stands, so that every complaint names file and field.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace ingrain::tokenizer {

constexpr int kMaxNesting = 8;  // of Sequences inside Sequences

/// Refers to a document, which must outlive it. Null counts as absent everywhere.
class Field {
 public:
  struct Root {};
  Field(const nlohmann::json& json, std::string source, Root) : json_(&json), name_(std::move(source)), root_(true) {}
  Field(const nlohmann::json& json, std::string name) : json_(&json), name_(std::move(name)) {}

  const nlohmann::json& json() const { return *json_; }
  /// "FILE: field 'a.b'", for errors.
  const std::string& name() const { return name_; }

  std::optional<Field> find(const char* key) const {
    require(json_->is_object(), "{} is {}; an object is expected", name_, json_->type_name());
    const auto entry = json_->find(key);
    if (entry == json_->end() || entry->is_null()) return std::nullopt;
    return Field(*entry, child(key));
  }
  Field at(const std::string& key) const {
    auto found = find(key.c_str());
    require(found.has_value(), "{} is missing", child(key));
    return std::move(*found);
  }
  std::vector<Field> elements() const {
    require(json_->is_array(), "{} is {}; an array is expected", name_, json_->type_name());
    std::vector<Field> out;
    out.reserve(json_->size());
    for (size_t i = 0; i < json_->size(); ++i) out.emplace_back((*json_)[i], name_ + "[" + std::to_string(i) + "]");
    return out;
  }
  std::string string() const {
    require(json_->is_string(), "{} is {}; a string is expected", name_, json_->type_name());
    return json_->get<std::string>();
  }
  int64_t integer(int64_t low, int64_t high) const {
    const bool fits = json_->is_number_integer() &&
                      (!json_->is_number_unsigned() || json_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
    require(fits && json_->get<int64_t>() >= low && json_->get<int64_t>() <= high,
            "{} is {}; an integer from {} to {} is expected", name_, shown(), low, high);
    return json_->get<int64_t>();
  }
  std::string string_or(const char* key, const char* otherwise) const {
    const auto field = find(key);
    return field ? field->string() : otherwise;
  }
  bool flag(const char* key, bool otherwise = false) const {
    const auto field = find(key);
    if (!field) return otherwise;
    require(field->json_->is_boolean(), "{} is {}; true or false is expected", field->name_, field->shown());
    return field->json_->get<bool>();
  }

 private:
  std::string child(const std::string& key) const {
    return root_ ? name_ + ": field '" + key + "'" : name_ + " '" + key + "'";
  }
  std::string shown() const {
    const bool structured = json_->is_structured();
    return structured ? std::string(json_->type_name()) : printable(json_->dump());
  }

  const nlohmann::json* json_;
  std::string name_;
  bool root_ = false;
};

}  // namespace ingrain::tokenizer
