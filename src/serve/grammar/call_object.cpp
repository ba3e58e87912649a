#include "serve/grammar/call_object.h"

#include "base/error.h"
#include "base/json.h"

namespace ingrain::serve {
namespace {

size_t skip_white(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(" \t\r\n", at), text.size());
}

/// The end of the value that begins at `at` in valid JSON.
size_t value_end(std::string_view text, size_t at) {
  int depth = 0;
  bool in_string = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\')
        ++at;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']' || c == ',' || c == ':') {
      if (depth == 0) break;
      if (c == '}' || c == ']') --depth;
    }
  }
  while (at > 0 && std::string_view(" \t\r\n").find(text[at - 1]) != std::string_view::npos) --at;
  return at;
}

/// Of a valid JSON object, the text of a member.
std::string_view member_text(std::string_view object, std::string_view name) {
  size_t at = skip_white(object, object.find('{') + 1);
  while (at < object.size() && object[at] == '"') {
    const size_t key_end = value_end(object, at);
    const auto key = nlohmann::json::parse(object.substr(at, key_end - at)).get<std::string>();
    const size_t value = skip_white(object, object.find(':', key_end) + 1);
    const size_t end = value_end(object, value);
    if (key == name) return object.substr(value, end - value);
    at = skip_white(object, skip_white(object, end) + 1);  // after the comma, or the end
  }
  return {};
}

bool is_object_text(const std::string& text) {
  try {
    return parse_json(text, "arguments").is_object();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<CallObject> read_call_object(std::string_view text, const std::vector<std::string_view>& arguments_names,
                                           bool strict) {
  nlohmann::json call;
  try {
    call = parse_json(text, "call");
  } catch (const Error&) {
    return std::nullopt;
  }
  if (!call.is_object() || !call.contains("name") || !call["name"].is_string()) return std::nullopt;
  CallObject out{call["name"].get<std::string>(), {}};
  if (out.name.empty()) return std::nullopt;
  for (const auto& [key, value] : call.items()) {
    const bool is_arguments = std::find(arguments_names.begin(), arguments_names.end(), key) != arguments_names.end();
    if (is_arguments && value.is_object())
      out.arguments = member_text(text, key);
    else if (is_arguments && value.is_string() && is_object_text(value.get<std::string>()))
      out.arguments = value.get<std::string>();
    else if (is_arguments || (strict && key != "name" && key != "id" && !(key == "type" && value == "function")))
      return std::nullopt;
  }
  if (out.arguments.empty()) return std::nullopt;
  return out;
}

}  // namespace ingrain::serve
