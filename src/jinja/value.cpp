#include "jinja/value.h"

#include "base/error.h"
#include "base/json.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace ingrain::jinja {
namespace {

constexpr int kMaxNesting = 100;  // of nested lists and dictionaries; also bounds every recursion over values

/// Where the object lies: what compares only with itself.
const void* identity(const Value& value) {
  return std::visit(
      [](const auto& held) -> const void* {
        if constexpr (requires { held.get(); }) return held.get();
        return nullptr;
      },
      value.data());
}

/// Equal keys give equal texts; numbers of equal value are equal keys.
std::string key_text(const Value& key) {
  if (const std::string* text = key.as_text()) return "s" + *text;
  if (const int64_t* number = key.as_integer()) return fmt::format("n{}", *number);
  if (const bool* b = key.as_bool()) return *b ? "n1" : "n0";
  if (const double* d = key.as_double()) {
    const bool whole = std::isfinite(*d) && std::trunc(*d) == *d;
    return whole ? fmt::format("n{:.0f}", *d == 0 ? 0.0 : *d) : fmt::format("f{}", *d);
  }
  if (const BigInteger* big = key.as_big()) return "n" + *big->digits;
  if (key.is_none()) return "z";
  if (key.is_undefined()) return "u";
  if (const List* list = key.as_list(); list && list->is_tuple()) {
    std::string out = "t";
    for (const Value& item : list->items) {
      const std::string part = key_text(item);
      out += fmt::format("{}:{}", part.size(), part);
    }
    return out;
  }
  if (const List* range = key.as_list(); range && range->kind == List::Kind::Range)
    return fmt::format("r{}:{}:{}", range->items.size(), range->start, range->items.size() > 1 ? range->step : 0);
  const bool hashable = key.as_namespace() || key.as_callable() || key.as_generator() || key.as_loop() ||
                        (key.as_list() && key.as_list()->kind == List::Kind::Values);
  require(hashable, "a value of type {} cannot be a dictionary's key", type_name(key));
  return fmt::format("o{}", identity(key));
}

Value convert_json(const nlohmann::ordered_json& json, int depth) {
  using Kind = nlohmann::ordered_json::value_t;
  checked_depth(depth);
  switch (json.type()) {
    case Kind::null: return None{};
    case Kind::boolean: return json.get<bool>();
    case Kind::number_float: return json.get<double>();
    case Kind::number_integer: return json.get<int64_t>();
    case Kind::number_unsigned: return Value::integer(static_cast<WideInteger>(json.get<uint64_t>()));
    case Kind::string: return json.get<std::string>();
    case Kind::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(convert_json(item, depth + 1));
      return Value::list(std::move(items));
    }
    case Kind::object: {
      Dict dict;
      for (const auto& [key, value] : json.items()) dict.set(key, convert_json(value, depth + 1));
      return Value::dict(std::move(dict));
    }
    default:
      if (const auto digits = big_integer_digits(json)) return Value::integer(*digits);
      fail("a template cannot take binary JSON");
  }
}

}  // namespace

Value Value::undefined(std::string what) {
  Value out;
  out.data_ = Undefined{std::make_shared<const std::string>(std::move(what))};
  return out;
}

int depth_of(const Value& value) {
  if (const List* list = value.as_list()) return list->depth;
  if (const Dict* dict = value.as_dict()) return dict->depth;
  if (const Callable* callable = value.as_callable()) return depth_of(callable->self);
  if (const auto generator = value.as_generator()) return generator->depth;
  return 0;
}

int checked_depth(int depth) {
  require(depth <= kMaxNesting, "lists and dictionaries nest deeper than {}", kMaxNesting);
  return depth;
}

Value Value::list(std::vector<Value> items, bool tuple) {
  List out;
  out.items = std::move(items);
  out.kind = tuple ? List::Kind::Tuple : List::Kind::List;
  return list(std::move(out));
}

Value Value::list(List list) {
  int depth = 0;
  for (const Value& item : list.items) depth = std::max(depth, depth_of(item));
  list.depth = checked_depth(depth + 1);
  Value out;
  out.data_ = std::make_shared<const List>(std::move(list));
  return out;
}

Value Value::dict(Dict dict) {
  int depth = 0;
  for (const auto& [key, value] : dict.items) depth = std::max({depth, depth_of(key), depth_of(value)});
  dict.depth = checked_depth(depth + 1);
  Value out;
  out.data_ = std::make_shared<const Dict>(std::move(dict));
  return out;
}

const std::string* Value::as_text() const {
  const auto* text = std::get_if<Text>(&data_);
  return text ? text->text.get() : nullptr;
}

bool Value::is_safe() const {
  const auto* text = std::get_if<Text>(&data_);
  return text && text->safe;
}

const List* Value::as_list() const {
  const auto* list = std::get_if<std::shared_ptr<const List>>(&data_);
  return list ? list->get() : nullptr;
}

const Dict* Value::as_dict() const {
  const auto* dict = std::get_if<std::shared_ptr<const Dict>>(&data_);
  return dict ? dict->get() : nullptr;
}

std::shared_ptr<Namespace> Value::as_namespace() const {
  const auto* space = std::get_if<std::shared_ptr<Namespace>>(&data_);
  return space ? *space : nullptr;
}

std::shared_ptr<Generator> Value::as_generator() const {
  const auto* generator = std::get_if<std::shared_ptr<Generator>>(&data_);
  return generator ? *generator : nullptr;
}

std::shared_ptr<Loop> Value::as_loop() const {
  const auto* loop = std::get_if<std::shared_ptr<Loop>>(&data_);
  return loop ? *loop : nullptr;
}

const Callable* Value::as_callable() const {
  const auto* callable = std::get_if<std::shared_ptr<const Callable>>(&data_);
  return callable ? callable->get() : nullptr;
}

void Dict::set(const Value& key, Value value) {
  const auto [at, added] = index.emplace(key_text(key), items.size());
  if (added) {
    items.emplace_back(key, std::move(value));
  } else {
    items[at->second].second = std::move(value);
  }
}

const Value* Dict::find(const Value& key) const {
  const auto found = index.find(key_text(key));
  return found == index.end() ? nullptr : &items[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = index.find("s" + std::string(key));
  return found == index.end() ? nullptr : &items[found->second].second;
}

std::optional<Value> Generator::pull(Runtime& runtime) {
  if (ahead.empty()) return next(runtime);
  Value out = std::move(ahead.front());
  ahead.pop_front();
  return out;
}

bool truth(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (const bool* b = value.as_bool()) return *b;
  if (const int64_t* i = value.as_integer()) return *i != 0;
  if (const double* d = value.as_double()) return *d != 0;
  if (const std::string* text = value.as_text()) return !text->empty();
  if (const List* list = value.as_list()) return !list->items.empty();
  if (const Dict* dict = value.as_dict()) return !dict->items.empty();
  return true;
}

std::string_view type_name(const Value& value) {
  static constexpr std::string_view kLists[] = {"list",      "tuple",       "tuple",      "range",
                                                "dict_keys", "dict_values", "dict_items", "set"};
  static constexpr std::string_view kNames[] = {"undefined", "none", "bool",     "int", "float",     "str", "list",
                                                "dict",      "",     "function", "int", "generator", "loop"};
  if (const List* list = value.as_list()) return kLists[static_cast<size_t>(list->kind)];
  if (const auto space = value.as_namespace()) {
    static constexpr std::string_view kKinds[] = {"namespace", "cycler", "joiner", "self"};
    return kKinds[static_cast<size_t>(space->kind)];
  }
  return kNames[value.data().index()];
}

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::string out = fmt::format("{}", number);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

Value from_json(const nlohmann::ordered_json& json) { return convert_json(json, 0); }

void refuse_undefined(const Value& value) {
  if (const auto* undefined = std::get_if<Undefined>(&value.data()))
    fail("{}", undefined->what ? *undefined->what : "a value is undefined");
}

}  // namespace ingrain::jinja
