#include "jinja/value.h"

#include "base/error.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace ingrain::jinja {
namespace {

constexpr int kMaxNesting = 100;  // of nested lists and dictionaries; also bounds every recursion over values

int depth_of(const Value& value) {
  if (const List* list = value.as_list()) return list->depth;
  if (const Dict* dict = value.as_dict()) return dict->depth;
  if (const Callable* callable = value.as_callable()) return depth_of(callable->self);
  return 0;
}

int checked_depth(int depth) {
  require(depth <= kMaxNesting, "lists and dictionaries nest deeper than {}", kMaxNesting);
  return depth;
}

/// Equal keys give equal texts; numbers of equal value are equal keys.
std::string key_text(const Value& key) {
  if (const std::string* text = key.as_text()) return "s" + *text;
  if (const int64_t* number = key.as_integer()) return fmt::format("n{}", *number);
  if (const bool* b = key.as_bool()) return *b ? "n1" : "n0";
  if (const double* d = key.as_double()) {
    const bool whole = std::nearbyint(*d) == *d && std::abs(*d) < 9e18;
    return whole ? fmt::format("n{}", static_cast<int64_t>(*d)) : fmt::format("f{}", *d);
  }
  if (key.is_none()) return "z";
  if (key.is_undefined()) return "u";
  if (const List* list = key.as_list(); list && list->tuple) {
    std::string out = "t";
    for (const Value& item : list->items) {
      const std::string part = key_text(item);
      out += fmt::format("{}:{}", part.size(), part);
    }
    return out;
  }
  fail("a value of type {} cannot be a dictionary's key", type_name(key));
}

Value convert_json(const nlohmann::ordered_json& json, int depth) {
  using Kind = nlohmann::ordered_json::value_t;
  checked_depth(depth);
  switch (json.type()) {
    case Kind::null: return None{};
    case Kind::boolean: return json.get<bool>();
    case Kind::number_float: return json.get<double>();
    case Kind::number_integer: return json.get<int64_t>();
    case Kind::number_unsigned:
      require(json.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
              "the number {} exceeds 64-bit integers", json.get<uint64_t>());
      return json.get<int64_t>();
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
    default: fail("a template cannot take binary JSON");
  }
}

}  // namespace

Value Value::undefined(std::string what) {
  Value out;
  out.data_ = Undefined{std::make_shared<const std::string>(std::move(what))};
  return out;
}

Value Value::list(std::vector<Value> items, bool tuple) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  Value out;
  out.data_ = std::make_shared<const List>(List{std::move(items), tuple, checked_depth(depth + 1)});
  return out;
}

Value Value::dict(Dict dict) {
  int depth = 0;
  for (const auto& [key, value] : dict.items) depth = std::max(depth, depth_of(value));
  dict.depth = checked_depth(depth + 1);
  Value out;
  out.data_ = std::make_shared<const Dict>(std::move(dict));
  return out;
}

const std::string* Value::as_text() const {
  const auto* text = std::get_if<Text>(&data_);
  return text ? text->get() : nullptr;
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

std::optional<int64_t> integer_of(const Value& value) {
  if (const int64_t* i = value.as_integer()) return *i;
  if (const bool* b = value.as_bool()) return *b ? 1 : 0;
  return std::nullopt;
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
  switch (value.data().index()) {
    case 0: return "undefined";
    case 1: return "none";
    case 2: return "bool";
    case 3: return "int";
    case 4: return "float";
    case 5: return "str";
    case 6: return value.as_list()->tuple ? "tuple" : "list";
    case 7: return "dict";
    case 8: return "namespace";
    default: return "function";
  }
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
