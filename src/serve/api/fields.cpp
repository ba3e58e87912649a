#include "serve/api/fields.h"

#include "base/json.h"
#include "base/text.h"

#include <algorithm>

namespace ingrain::serve::api {
namespace {

/// How faults of a request are told.
class RequestSource : public JsonSource {
 public:
  std::string describe(const std::string& path) const override { return fmt::format("'{}'", path); }
  std::exception_ptr refusal(const std::string& path, const std::string& reason) const override {
    return error("", path, reason);
  }
  std::exception_ptr absence(const std::string& path) const override {
    return error("missing_required_parameter", path, "is required");
  }
  bool takes_whole_floats() const override { return true; }  // clients in JavaScript write 16.0 now and then

 private:
  std::exception_ptr error(const char* code, const std::string& path, const std::string& reason) const {
    return std::make_exception_ptr(
        ApiError(400, "invalid_request_error", code, path, fmt::format("{} {}", describe(path), reason)));
  }
};

/// Whether it may hold an integer beyond 64 bits.
bool has_long_number(std::string_view body) {
  constexpr size_t kDigits = 19;
  size_t run = 0;
  for (const char c : body) {
    run = c >= '0' && c <= '9' ? run + 1 : 0;
    if (run == kDigits) return true;
  }
  return false;
}

bool holds_big_integer(const Json& value) {
  return value.is_binary() || (value.is_structured() && std::any_of(value.begin(), value.end(), holds_big_integer));
}

/// Schemas are kept with 64 bits a number: bounds beyond them are near enough, but an answer that must be one number
/// would be another. `exact`: with its big integers. `names`: its keys are a schema's own names, no keywords.
void refuse_big_constants(const Json& exact, const std::string& path, bool names) {
  for (const auto& [key, value] : exact.items()) {
    const std::string at = exact.is_array() ? fmt::format("{}[{}]", path, key) : fmt::format("{}.{}", path, key);
    if (!names && (key == "const" || key == "enum") && holds_big_integer(value))
      refuse(at, "'{}' holds an integer beyond 64 bits, which cannot be written exactly; make it a string", at);
    if (value.is_structured())
      refuse_big_constants(value, at, !names && (key == "properties" || key == "$defs" || key == "definitions"));
  }
}

}  // namespace

Json parse_body(std::string_view body) {
  Json out;
  try {
    out = parse_ordered_json(body, "the request's body");
  } catch (const Error& e) {
    refuse("", "{}", e.what());
  }
  if (!out.is_object()) refuse("", "the request's body must be a JSON object");
  if (!has_long_number(body)) return out;
  const Json exact = *parse_exactly(body);
  for (const char* with_schema : {"response_format", "text", "tools"})
    if (const auto at = exact.find(with_schema); at != exact.end() && at->is_structured())
      refuse_big_constants(*at, with_schema, /*names=*/false);
  // A tool's arguments are shown to the model as they were written.
  if (const auto messages = exact.find("messages"); messages != exact.end()) out["messages"] = *messages;
  return out;
}

std::string element(std::string_view list, size_t index) { return fmt::format("{}[{}]", list, index); }

Fields::Fields(const Json& object, std::string path)
    : BasicField(object, std::make_shared<RequestSource>(), std::move(path)) {
  if (!object.is_object()) refuse("must be an object");
}

const Json* Fields::take(std::string_view name) {
  const auto field = find(name);
  return field ? &field->json() : nullptr;
}

std::optional<std::string> Fields::word(std::string_view name, std::initializer_list<std::string_view> words) {
  auto out = string(name);
  if (out && std::find(words.begin(), words.end(), *out) == words.end())
    api::refuse(path(name), "'{}' is '{}'; it must be one of: {}", path(name), printable(*out), fmt::join(words, ", "));
  return out;
}

const Json* Fields::array(std::string_view name, size_t most) {
  const auto field = find(name);
  if (!field) return nullptr;
  if (!field->json().is_array()) field->refuse(fmt::format("must be a list, not {}", field->json().type_name()));
  if (field->json().size() > most)
    field->refuse(fmt::format("has {} elements; at most {} are taken", field->json().size(), most));
  return &field->json();
}

const Json* Fields::object(std::string_view name) {
  const auto field = find(name);
  if (!field) return nullptr;
  if (!field->json().is_object()) field->refuse(fmt::format("must be an object, not {}", field->json().type_name()));
  return &field->json();
}

void Fields::accept(std::initializer_list<const char*> names) {
  for (const char* name : names) find(name);
}

void Fields::accept_only(std::string_view name, std::initializer_list<Json> values, const std::string& why) {
  const Json* value = take(name);
  if (value == nullptr || std::find(values.begin(), values.end(), *value) != values.end()) return;
  refuse_unsupported(path(name), why.empty() ? "its value here is not one that is served" : why);
}

void Fields::refuse_unread() const {
  for (const std::string& name : unread())
    if (!json().at(name).is_null()) refuse_unsupported(path(name));
}

}  // namespace ingrain::serve::api
