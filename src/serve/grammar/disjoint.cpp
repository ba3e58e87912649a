#include "serve/grammar/disjoint.h"

#include "base/error.h"
#include "serve/grammar/schema_reference.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr size_t kMaxBranches = 64;
constexpr int kMaxHops = 8;
// Types as bits; a number may be whole or not.
constexpr unsigned kObject = 1, kArray = 2, kString = 4, kWhole = 8, kBroken = 16, kBoolean = 32, kNull = 64,
                   kAll = 127;

unsigned bits_of(const std::string& type) {
  return type == "object"    ? kObject
         : type == "array"   ? kArray
         : type == "string"  ? kString
         : type == "integer" ? kWhole
         : type == "number"  ? kWhole | kBroken
         : type == "boolean" ? kBoolean
         : type == "null"    ? kNull
                             : kAll;
}

unsigned bits_of_value(const nlohmann::ordered_json& value) {
  if (value.is_number()) return kWhole | kBroken;
  return bits_of(value.type_name());
}

class Overlap {
 public:
  Overlap(const nlohmann::ordered_json& root, const std::string& where, const std::string& path)
      : root_(root), where_(where), path_(path) {}

  bool apart(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b, int depth = 0) const {
    const auto& x = followed(a);
    const auto& y = followed(b);
    if ((types(x) & types(y)) == 0) return true;
    const auto xs = values(x), ys = values(y);
    if (!xs.empty() && !ys.empty())
      return std::none_of(xs.begin(), xs.end(),
                          [&](const auto& one) { return std::find(ys.begin(), ys.end(), one) != ys.end(); });
    return depth < kMaxHops && types(x) == kObject && types(y) == kObject && tagged(x, y, depth);
  }

 private:
  const nlohmann::ordered_json& followed(const nlohmann::ordered_json& schema) const {
    const auto* at = &schema;
    for (int hops = 0; hops < kMaxHops && at->is_object() && at->contains("$ref") && (*at)["$ref"].is_string(); ++hops)
      at = resolve_reference(root_, (*at)["$ref"].get<std::string>(), where_, path_).schema;
    return *at;
  }

  static unsigned types(const nlohmann::ordered_json& schema) {
    if (!schema.is_object()) return kAll;
    unsigned out = 0;
    if (const auto listed = values(schema); !listed.empty()) {
      for (const auto& value : listed) out |= bits_of_value(value);
      return out;
    }
    if (!schema.contains("type")) return kAll;
    const auto& type = schema["type"];
    if (type.is_string()) return bits_of(type.get<std::string>());
    for (const auto& one : type) out |= one.is_string() ? bits_of(one.get<std::string>()) : kAll;
    return out;
  }

  static std::vector<nlohmann::ordered_json> values(const nlohmann::ordered_json& schema) {
    if (!schema.is_object()) return {};
    if (schema.contains("const")) return {schema["const"]};
    if (schema.contains("enum") && schema["enum"].is_array())
      return schema["enum"].get<std::vector<nlohmann::ordered_json>>();
    return {};
  }

  bool tagged(const nlohmann::ordered_json& x, const nlohmann::ordered_json& y, int depth) const {
    const auto requires_name = [](const nlohmann::ordered_json& schema, const std::string& name) {
      return schema.contains("required") && schema["required"].is_array() &&
             std::find(schema["required"].begin(), schema["required"].end(), name) != schema["required"].end();
    };
    if (!x.contains("properties") || !y.contains("properties") || !x["properties"].is_object() ||
        !y["properties"].is_object())
      return false;
    for (const auto& [name, value] : x["properties"].items())
      if (y["properties"].contains(name) && requires_name(x, name) && requires_name(y, name) &&
          apart(value, y["properties"][name], depth + 1))
        return true;
    return false;
  }

  const nlohmann::ordered_json& root_;
  const std::string &where_, &path_;
};

}  // namespace

void check_disjoint(const nlohmann::ordered_json& root, const nlohmann::ordered_json& branches,
                    const std::string& where, const std::string& path) {
  if (branches.size() > kMaxBranches) fail_usage("{}: has more than {} branches; say anyOf", path, kMaxBranches);
  const Overlap overlap(root, where, path);
  for (size_t j = 0; j < branches.size(); ++j)
    for (size_t i = 0; i < j; ++i)
      if (!overlap.apart(branches[i], branches[j]))
        fail_usage(
            "{}: one value might satisfy branches {} and {}; say anyOf, or give both a required property with "
            "values of its own",
            path, i, j);
}

}  // namespace ingrain::serve
