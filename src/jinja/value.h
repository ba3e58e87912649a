// Values of the template language: what Python's objects are to Jinja.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
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
struct Generator;
struct Loop;
struct Runtime;

/// A variable or member that does not exist. Harmless until it is used; `what` then says what is missing.
struct Undefined {
  std::shared_ptr<const std::string> what;
};
struct None {};

/// A string. A safe one (Markup) escapes what it is joined with.
struct Text {
  std::shared_ptr<const std::string> text;
  bool safe = false;
};

/// An integer beyond 64 bits, in decimal digits.
struct BigInteger {
  std::shared_ptr<const std::string> digits;
};

__extension__ typedef __int128 WideInteger;

/// An immutable value with Python's meaning; copying is cheap. (Namespaces, generators and loops are shared and
/// change.)
class Value {
 public:
  using Variant = std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<const List>,
                               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Callable>,
                               BigInteger, std::shared_ptr<Generator>, std::shared_ptr<Loop>>;

  Value() = default;
  Value(None none) : data_(none) {}
  Value(bool b) : data_(b) {}
  Value(int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::string s, bool safe = false) : data_(Text{std::make_shared<const std::string>(std::move(s)), safe}) {}
  Value(std::string_view s, bool safe = false) : Value(std::string(s), safe) {}
  Value(const char* s) : Value(std::string(s)) {}
  Value(std::shared_ptr<Namespace> n) : data_(std::move(n)) {}
  Value(std::shared_ptr<const Callable> c) : data_(std::move(c)) {}
  Value(std::shared_ptr<Generator> g) : data_(std::move(g)) {}
  Value(std::shared_ptr<Loop> l) : data_(std::move(l)) {}
  static Value undefined(std::string what);
  static Value integer(WideInteger number);
  /// From decimal digits with an optional '-'. Error beyond 4300 digits, Python's own bound.
  static Value integer(std::string_view digits);
  /// Error if the lists and dictionaries nest too deeply.
  static Value list(std::vector<Value> items, bool tuple = false);
  static Value list(List list);
  static Value dict(Dict dict);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_safe() const;
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const double* as_double() const { return std::get_if<double>(&data_); }
  const std::string* as_text() const;
  const List* as_list() const;
  const Dict* as_dict() const;
  std::shared_ptr<Namespace> as_namespace() const;
  std::shared_ptr<Generator> as_generator() const;
  std::shared_ptr<Loop> as_loop() const;
  const Callable* as_callable() const;
  const int64_t* as_integer() const { return std::get_if<int64_t>(&data_); }
  const BigInteger* as_big() const { return std::get_if<BigInteger>(&data_); }
  bool is_number() const { return as_bool() || as_integer() || as_double() || as_big(); }
  const Variant& data() const { return data_; }

 private:
  Variant data_;
};

/// What has items in order: lists, tuples, range() and the views of dictionaries. `depth` is how deep containers
/// nest below and including it.
struct List {
  enum class Kind { List, Tuple, Group, Range, Keys, Values, Items, Set };
  std::vector<Value> items;
  Kind kind = Kind::List;
  int depth = 1;
  int64_t start = 0, stop = 0, step = 1;  // of a range

  bool is_list() const { return kind == Kind::List; }
  bool is_tuple() const { return kind == Kind::Tuple || kind == Kind::Group; }
  bool is_view() const {
    return kind >= Kind::Keys;
  }  // has no places: a view of a dictionary, or what '-' makes of two
  bool is_set() const { return kind == Kind::Keys || kind == Kind::Items || kind == Kind::Set; }
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
  const Value* find(const std::string& key) const { return find(std::string_view(key)); }
  const Value* find(const char* key) const { return find(std::string_view(key)); }
};

/// The things a template can change: namespace(), and what cycler() and joiner() give; `self` holds blocks.
struct Namespace {
  enum class Kind { Namespace, Cycler, Joiner, Self };
  Kind kind = Kind::Namespace;
  Dict values;
};

/// What is read once, item by item: map, select, ...
struct Generator {
  using Next = std::function<std::optional<Value>(Runtime&)>;
  Next next;
  int depth = 1;
  std::deque<Value> ahead;  // made already, as their number was asked for

  std::optional<Value> pull(Runtime& runtime);
};

struct MacroInstance;
struct Stmt;

/// What can be called: a global function (`self` undefined, no macro), a method of `self`, a macro or a block.
struct Callable {
  std::string name;
  Value self;
  std::shared_ptr<const MacroInstance> macro;
};

/// An integer of 64 bits, or a truth value as Python counts with it; otherwise nothing.
std::optional<int64_t> integer_of(const Value& value);
/// The same of up to 127 bits.
std::optional<WideInteger> wide_integer_of(const Value& value);
bool is_integer(const Value& value);  // truth values included
/// The decimal digits of an integer or truth value.
std::string digits_of(const Value& value);
/// A number as a float (infinite where too large).
std::optional<double> number_of(const Value& value);
/// How deep containers nest in a value, and Error where that is too deep.
int depth_of(const Value& value);
int checked_depth(int depth);
/// Python's truth of a value.
bool truth(const Value& value);
/// "str", "list", ...: Python's name of the type, for messages.
std::string_view type_name(const Value& value);
/// str(float).
std::string float_text(double number);

/// A JSON value (object order kept; parse_exactly()'s big integers, too) as a template value. Error if it nests too
/// deeply.
Value from_json(const nlohmann::ordered_json& json);

/// Error, as the undefined value itself says it, for one that is undefined.
void refuse_undefined(const Value& value);

}  // namespace ingrain::jinja
