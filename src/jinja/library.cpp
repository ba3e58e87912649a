// The runtime's own functions, parameters of calls, global functions, and the doors to filters.
#include "base/text.h"
#include "jinja/runtime.h"

#include <algorithm>
#include <cstring>

namespace ingrain::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // Jinja's sandbox has the same

Value make_range(Runtime& runtime, const CallArguments& arguments) {
  const Parameters p("range", arguments, {"start", "stop", "step"}, 1);
  const int64_t first = p[1] ? p.integer(0, 0) : 0;
  const int64_t last = p[1] ? p.integer(1, 0) : p.integer(0, 0);
  const int64_t step = p.integer(2, 1);
  require(step != 0, "range: the step is zero");
  std::vector<Value> items;
  int64_t i = first;
  while (step > 0 ? i < last : i > last) {
    require(static_cast<int64_t>(items.size()) < kMaxRange, "range: more than {} numbers", kMaxRange);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  runtime.charge(items.size() * sizeof(Value));
  return Value::list(std::move(items));
}

Value make_namespace(Runtime& runtime, const CallArguments& arguments) {
  const auto space = runtime.make_namespace();
  for (const Value& from : arguments.positional) {
    require(from.as_dict() != nullptr, "namespace: only a dictionary and named values are understood");
    for (const auto& [key, value] : from.as_dict()->items)
      if (key.as_text()) space->values[*key.as_text()] = value;
  }
  for (const auto& [name, value] : arguments.named) space->values[name] = value;
  return space;
}

Value make_dict(Runtime& runtime, const CallArguments& arguments) {
  Dict out;
  require(arguments.positional.size() <= 1, "dict: more than one positional argument");
  if (!arguments.positional.empty()) {
    const Dict* from = arguments.positional[0].as_dict();
    require(from != nullptr, "dict: only a dictionary and named values are understood");
    runtime.charge(from->items.size() * 128);
    out = *from;
  }
  for (const auto& [name, value] : arguments.named) out.set(name, value);
  return Value::dict(std::move(out));
}

Value strftime_now(Runtime& runtime, const CallArguments& arguments) {
  const Parameters p("strftime_now", arguments, {"format"}, 1);
  const auto format = p.text(0);
  require(format && format->size() <= 256, "strftime_now: the format must be a string of at most 256 bytes");
  std::string out(4096, '\0');
  out.resize(std::strftime(out.data(), out.size(), std::string(*format).c_str(), &runtime.now));
  return Value(std::move(out));
}

}  // namespace

void Runtime::charge(uint64_t bytes) {
  require(bytes <= budget, "the template does too much work; its loops or texts are far beyond a conversation's size");
  budget -= bytes;
}

void Runtime::charge_key(const Value& key) {
  charge(key.as_text() ? key.as_text()->size() : 16);
  if (const List* list = key.as_list())
    for (const Value& item : list->items) charge_key(item);
}

std::shared_ptr<Namespace> Runtime::make_namespace() {
  charge(256);
  namespaces.push_back(std::make_shared<Namespace>());
  return namespaces.back();
}

Parameters::Parameters(std::string_view function, const CallArguments& arguments,
                       std::initializer_list<std::string_view> names, size_t required)
    : function_(function), names_(names), values_(names.size(), nullptr) {
  require(arguments.positional.size() <= names.size(), "{}: at most {} arguments, {} were given", function,
          names.size(), arguments.positional.size());
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto at = std::find(names_.begin(), names_.end(), name);
    require(at != names_.end(), "{}: no parameter '{}'", function, printable(name));
    const Value*& place = values_[static_cast<size_t>(at - names_.begin())];
    require(place == nullptr, "{}: parameter '{}' is given twice", function, name);
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) require(values_[i], "{}: argument '{}' is missing", function, names_[i]);
}

int64_t Parameters::integer(size_t i, int64_t otherwise) const {
  if (!values_[i]) return otherwise;
  const auto value = integer_of(*values_[i]);
  require(value.has_value(), "{}: '{}' must be an integer, not {}", function_, names_[i], type_name(*values_[i]));
  return *value;
}

std::optional<std::string_view> Parameters::text(size_t i) const {
  if (!values_[i] || values_[i]->is_none()) return std::nullopt;
  const std::string* text = values_[i]->as_text();
  require(text != nullptr, "{}: '{}' must be a string, not {}", function_, names_[i], type_name(*values_[i]));
  return *text;
}

Value apply_filter(Runtime& runtime, const std::string& name, const Value& subject, const CallArguments& arguments) {
  for (const FilterTable* table : {&text_filters(), &sequence_filters()})
    if (const auto found = table->find(name); found != table->end()) return found->second(runtime, subject, arguments);
  std::vector<std::string> known;
  for (const FilterTable* table : {&text_filters(), &sequence_filters()})
    for (const auto& [candidate, function] : *table) known.push_back(candidate);
  fail("the filter '{}' is not supported{}", printable(name), did_you_mean(name, known));
}

bool is_global_function(std::string_view name) {
  return name == "range" || name == "namespace" || name == "dict" || name == "raise_exception" ||
         name == "strftime_now";
}

Value call_global(Runtime& runtime, const std::string& name, const CallArguments& arguments) {
  if (name == "range") return make_range(runtime, arguments);
  if (name == "namespace") return make_namespace(runtime, arguments);
  if (name == "dict") return make_dict(runtime, arguments);
  if (name == "strftime_now") return strftime_now(runtime, arguments);
  const Parameters p("raise_exception", arguments, {"message"}, 1);
  throw RaisedByTemplate(text_of(runtime, *p[0]));
}

}  // namespace ingrain::jinja
