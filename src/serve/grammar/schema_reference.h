// "$ref" within one schema.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace ingrain::serve {

struct Referenced {
  const nlohmann::ordered_json* schema;
  std::string path;  // "WHERE.$defs.Name", for errors
};
/// What "#/$defs/Name" names in `root`. UsageError, at `path`, for what is not there, and for other documents.
Referenced resolve_reference(const nlohmann::ordered_json& root, const std::string& reference, const std::string& where,
                             const std::string& path);

}  // namespace ingrain::serve
