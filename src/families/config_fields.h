// The fields of a JSON object as a configuration has them, with errors that name file, field and remedy.
#pragma once

#include "base/json.h"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace ingrain::families {

/// A view of an object that the caller keeps alive. A field that is null counts as absent. Every reader throws Error
/// (naming source and field) for a value of the wrong kind or beyond its bounds.
class ConfigFields {
 public:
  static constexpr int64_t kMaxSize = int64_t{1} << 31;

  /// `prefix` stands before the fields' names in errors: "rope_parameters.".
  ConfigFields(const nlohmann::json& object, std::string source, std::string prefix = "");

  const nlohmann::json* find(const std::string& name) const;
  /// A whole number from 1 to `most`.
  std::optional<int64_t> size(const std::string& name, int64_t most = kMaxSize) const;
  int64_t need_size(const std::string& name, int64_t most = kMaxSize) const;
  /// A positive number.
  std::optional<double> number(const std::string& name) const;
  double need_number(const std::string& name) const;
  bool flag(const std::string& name, bool otherwise) const;
  std::optional<std::string> text(const std::string& name) const;
  /// A token's id or a list of them.
  std::vector<int64_t> ids(const std::string& name) const;
  /// An object's fields, with their names as "outer.inner"; nothing if it is absent or empty.
  std::optional<ConfigFields> inner(const std::string& name) const;

  const std::string& source() const { return source_; }
  /// A field's whole name.
  std::string path(const std::string& name) const { return prefix_ + name; }

 private:
  const nlohmann::json* object_;
  std::string source_, prefix_;
};

}  // namespace ingrain::families
