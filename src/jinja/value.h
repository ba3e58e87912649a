// Values of the template language: what Python's objects are to Jinja.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ingrain::jinja {

class Value;
struct List;
struct Dict;
struct Namespace;
struct Callable;

/// A variable or member that does not exist. Harmless until it is used; `what` then says what is missing.
struct Undefined {
  std::shared_ptr<const std::string> what;
};
struct None {};

using Text = std::shared_ptr<const std::string>;

/// An immutable value with Python's meaning; copying is cheap. Integers are 64-bit.
class Value {
 public:
  using Variant =
      std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Callable>>;

  Value() = default;
  Value(None none) : data_(none) {}
  Value(bool b) : data_(b) {}
  Value(int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::string s) : data_(std::make_shared<const std::string>(std::move(s))) {}
  Value(std::string_view s) : Value(std::string(s)) {}
  Value(const char* s) : Value(std::string(s)) {}
  Value(std::shared_ptr<Namespace> n) : data_(std::move(n)) {}
  Value(std::shared_ptr<const Callable> c) : data_(std::move(c)) {}
  static Value undefined(std::string what);
  /// Error if the lists and dictionaries nest too deeply.
  static Value list(std::vector<Value> items, bool tuple = false);
  static Value dict(Dict dict);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const double* as_double() const { return std::get_if<double>(&data_); }
  const std::string* as_text() const;
  const List* as_list() const;
  const Dict* as_dict() const;
  std::shared_ptr<Namespace> as_namespace() const;
  const Callable* as_callable() const;
  const int64_t* as_integer() const { return std::get_if<int64_t>(&data_); }
  bool is_number() const { return as_bool() || as_integer() || as_double(); }
  const Variant& data() const { return data_; }

 private:
  Variant data_;
};

/// A list or tuple. `depth` is how deep containers nest below and including it.
struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;
};

/// A dictionary in insertion order.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  std::map<std::string, size_t, std::less<>> index;
  int depth = 1;

  /// Adds or replaces. Error if the key cannot be a key.
  void set(const Value& key, Value value);
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
};

/// namespace(): the one thing a template can change.
struct Namespace {
  std::map<std::string, Value, std::less<>> values;
};

struct MacroInstance;

/// What can be called: a global function (`self` undefined, no macro), a method of `self`, or a macro.
struct Callable {
  std::string name;
  Value self;
  std::shared_ptr<const MacroInstance> macro;
};

/// An integer, or a truth value as Python counts with it; otherwise nothing.
std::optional<int64_t> integer_of(const Value& value);
/// Python's truth of a value.
bool truth(const Value& value);
/// "str", "list", ...: Python's name of the type, for messages.
std::string_view type_name(const Value& value);
/// str(float).
std::string float_text(double number);

/// A JSON value (object order kept) as a template value. Error if it nests too deeply or an integer exceeds
/// 64 bits.
Value from_json(const nlohmann::ordered_json& json);

/// Error, as the undefined value itself says it, for one that is undefined.
void refuse_undefined(const Value& value);

}  // namespace ingrain::jinja
