#include "serve/grammar/schema_reference.h"

#include "base/error.h"
#include "base/text.h"

#include <charconv>

namespace ingrain::serve {
namespace {

/// A step of a JSON pointer in a URI: %41 is A, then ~1 is / and ~0 is ~.
std::string pointer_step(std::string_view written) {
  std::string out;
  for (size_t i = 0; i < written.size(); ++i) {
    unsigned byte = 0;
    if (written[i] == '%' && i + 2 < written.size() &&
        std::from_chars(written.data() + i + 1, written.data() + i + 3, byte, 16).ptr == written.data() + i + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += written[i];
    }
  }
  for (const auto& [from, to] : {std::pair("~1", "/"), std::pair("~0", "~")})
    for (size_t at = out.find(from); at != out.npos; at = out.find(from, at + 1)) out.replace(at, 2, to);
  return out;
}

const nlohmann::ordered_json* member(const nlohmann::ordered_json& json, const std::string& step) {
  if (json.is_object()) {
    const auto found = json.find(step);
    return found == json.end() ? nullptr : &*found;
  }
  size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (!json.is_array() || error != std::errc() || end != step.data() + step.size() || index >= json.size())
    return nullptr;
  return &json[index];
}

}  // namespace

Referenced resolve_reference(const nlohmann::ordered_json& root, const std::string& reference, const std::string& where,
                             const std::string& path) {
  if (reference != "#" && !reference.starts_with("#/"))
    fail_usage("{}: '{}' is not supported; refer to the schema itself, like \"#/$defs/Name\"", path,
               printable(reference));
  Referenced out{&root, where};
  for (size_t at = 1; at < reference.size();) {
    const size_t end = std::min(reference.find('/', at + 1), reference.size());
    const std::string step = pointer_step(std::string_view(reference).substr(at + 1, end - at - 1));
    out.schema = member(*out.schema, step);
    if (!out.schema) fail_usage("{}: '{}' is not there", path, printable(reference));
    out.path += "." + printable(step);
    at = end;
  }
  return out;
}

}  // namespace ingrain::serve
