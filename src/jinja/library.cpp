// The runtime's own functions, parameters of calls, global functions, and the doors to filters.
#include "base/text.h"
#include "jinja/runtime.h"

#include <algorithm>
#include <limits>

namespace ingrain::jinja {
namespace {

Value make_range(Runtime& runtime, const CallArguments& arguments) {
  require(arguments.named.empty(), "range: takes no named arguments");
  const Parameters p("range", arguments, {"start", "stop", "step"}, 1);
  return p[1] ? make_range(runtime, p.integer(0, 0), p.integer(1, 0), p.integer(2, 1))
              : make_range(runtime, 0, p.integer(0, 0), 1);
}

/// dict(...): a mapping or pairs, and named values.
Dict dict_of(Runtime& runtime, const CallArguments& arguments) {
  Dict out;
  require(arguments.positional.size() <= 1, "dict, namespace: more than one positional argument");
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    if (const Dict* dict = from.as_dict()) {
      runtime.charge(dict->items.size() * 128);
      out = *dict;
    } else {
      refuse_undefined(from);
      for (const Value& pair : iterate(runtime, from)) {
        const auto parts = iterate(runtime, pair);
        require(parts.size() == 2, "dict, namespace: a dictionary or pairs are needed");
        runtime.charge(128);
        runtime.charge_key(parts[0]);
        out.set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) out.set(name, value);
  return out;
}

Value make_namespace(Runtime& runtime, const CallArguments& arguments) {
  const auto space = runtime.make_namespace();
  space->values = dict_of(runtime, arguments);
  for (const auto& [key, value] : space->values.items) check_namespace_name(key);
  return space;
}

Value make_dict(Runtime& runtime, const CallArguments& arguments) { return Value::dict(dict_of(runtime, arguments)); }

Value make_cycler(Runtime& runtime, const CallArguments& arguments) {
  require(arguments.named.empty() && !arguments.positional.empty(), "cycler: values without names are needed");
  const auto space = runtime.make_namespace(Namespace::Kind::Cycler);
  space->values.set("items", Value::list(arguments.positional, true));
  space->values.set("pos", int64_t{0});
  return space;
}

Value make_joiner(Runtime& runtime, const CallArguments& arguments) {
  const Parameters p("joiner", arguments, {"sep"});
  const auto space = runtime.make_namespace(Namespace::Kind::Joiner);
  space->values.set("sep", p[0] ? *p[0] : Value(", "));
  space->values.set("used", false);
  return space;
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

std::shared_ptr<Namespace> Runtime::make_namespace(Namespace::Kind kind) {
  charge(256);
  namespaces.push_back(std::make_shared<Namespace>());
  namespaces.back()->kind = kind;
  return namespaces.back();
}

const Value* CallArguments::find(std::string_view name) const {
  for (const auto& [given, value] : named)
    if (given == name) return &value;
  return nullptr;
}

void check_namespace_name(const Value& name) {
  const std::string* text = name.as_text();
  if (text && text->starts_with('_'))
    fail("a namespace cannot hold '{}': it begins with an underscore", printable(*text));
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
  if (const BigInteger* big = values_[i]->as_big())
    return big->digits->front() == '-' ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
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

namespace {

const FilterTable* const* filter_tables() {
  static const FilterTable* const tables[] = {
      &text_filters(), &number_filters(), &markup_filters(), &sequence_filters(),
      &lazy_filters(), &link_filters(),   &pretty_filters(), nullptr};
  return tables;
}

}  // namespace

std::optional<std::string> refused_name(std::string_view name) {
  static constexpr std::string_view kRandom =
      "it gives something else each time, and a conversation must render the same at every turn";
  static constexpr std::string_view kBytes = "templates have no bytes here";
  static constexpr std::string_view kGenerator = "a generator is only read, by a loop or a filter, here";
  static constexpr std::pair<std::string_view, std::string_view> kRefused[] = {
      {"random", kRandom},          {"lipsum", kRandom},
      {"encode", kBytes},           {"to_bytes", kBytes},
      {"from_bytes", kBytes},       {"send", kGenerator},
      {"throw", kGenerator},        {"close", kGenerator},
      {"gi_running", kGenerator},   {"gi_suspended", kGenerator},
      {"gi_yieldfrom", kGenerator}, {"mapping", "a dictionary's keys, values and items do not know it here"}};
  for (const auto& [refused, why] : kRefused)
    if (refused == name) return fmt::format("'{}' is not supported: {}", name, why);
  return std::nullopt;
}

bool is_filter_name(std::string_view name) {
  for (auto table = filter_tables(); *table; ++table)
    if ((*table)->contains(name)) return true;
  return false;
}

Value apply_filter(Runtime& runtime, const std::string& name, const Value& subject, const CallArguments& arguments) {
  for (auto table = filter_tables(); *table; ++table)
    if (const auto found = (*table)->find(name); found != (*table)->end())
      return found->second(runtime, subject, arguments);
  if (name == "random") fail("the filter {}", *refused_name(name));
  std::vector<std::string> known;
  for (auto table = filter_tables(); *table; ++table)
    for (const auto& [candidate, function] : **table) known.push_back(candidate);
  fail("the filter '{}' is not supported{}", printable(name), did_you_mean(name, known));
}

bool is_global_function(std::string_view name) {
  return name == "range" || name == "namespace" || name == "dict" || name == "raise_exception" ||
         name == "strftime_now" || name == "cycler" || name == "joiner";
}

Value call_global(Runtime& runtime, const std::string& name, const CallArguments& arguments) {
  if (name == "cycler") return make_cycler(runtime, arguments);
  if (name == "joiner") return make_joiner(runtime, arguments);
  if (name == "range") return make_range(runtime, arguments);
  if (name == "dict.fromkeys") return call_method(runtime, Value::dict({}), "fromkeys", arguments);
  if (name == "namespace") return make_namespace(runtime, arguments);
  if (name == "dict") return make_dict(runtime, arguments);
  if (name == "strftime_now") return strftime_now(runtime, arguments);
  const Parameters p("raise_exception", arguments, {"message"}, 1);
  throw RaisedByTemplate(text_of(runtime, *p[0]));
}

}  // namespace ingrain::jinja
