// What every operation of the template language shares while a template is rendered: the budget of work, and
// the library of operators, filters, tests, methods and functions. Errors here are plain ingrain::Error
// texts; the interpreter adds the template's name and line.
#pragma once

#include "base/error.h"
#include "jinja/value.h"

#include <ctime>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingrain::jinja {

/// raise_exception(): the template itself refuses the conversation. Its text is shown as it is.
class RaisedByTemplate : public Error {
 public:
  using Error::Error;
};

/// One rendering's state. Not thread-safe; every rendering has its own.
struct Runtime {
  uint64_t budget = 0;  // bytes that may still be made or looked at; every step costs some
  std::tm now{};        // what strftime_now() shows
  std::vector<std::shared_ptr<Namespace>>
      namespaces;                            // all that were made: emptied at the end, as they may form cycles
  std::vector<std::shared_ptr<Loop>> loops;  // the same

  /// Pays for work on `bytes` bytes. Error when the budget is used up.
  void charge(uint64_t bytes);
  /// Pays for the use of `key` as a dictionary's key.
  void charge_key(const Value& key);
  std::shared_ptr<Namespace> make_namespace(Namespace::Kind kind = Namespace::Kind::Namespace);
  bool autoescape = false;  // within {% autoescape true %}
};

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// The named argument, or null.
  const Value* find(std::string_view name) const;
};

/// Arguments put in the places of the parameters `names`. Error if there are too many, or one has another
/// name, or one of the first `required` is missing.
class Parameters {
 public:
  Parameters(std::string_view function, const CallArguments& arguments, std::initializer_list<std::string_view> names,
             size_t required = 0);
  /// The argument, or null if it was not given.
  const Value* operator[](size_t i) const { return values_[i]; }
  bool flag(size_t i, bool otherwise) const { return values_[i] ? truth(*values_[i]) : otherwise; }
  /// Numbers beyond 64 bits are as the largest.
  int64_t integer(size_t i, int64_t otherwise) const;
  /// The text of a string argument; nothing if it was not given or is none.
  std::optional<std::string_view> text(size_t i) const;

 private:
  std::string function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

// Operators (operators.cpp, arithmetic.cpp).
/// Error: `op` does not work between these types; of what is undefined that it is.
[[noreturn]] void refuse_types(std::string_view op, const Value& a, const Value& b);
bool equal(Runtime& runtime, const Value& a, const Value& b);
/// Whether a is b, or equals it: how Python compares what containers hold.
bool same_or_equal(Runtime& runtime, const Value& a, const Value& b);
bool identical(const Value& a, const Value& b);
/// a < b; Error for types that have no order.
bool less(Runtime& runtime, const Value& a, const Value& b);
/// < <= > >=
bool ordered(Runtime& runtime, std::string_view op, const Value& a, const Value& b);
bool contains(Runtime& runtime, const Value& container, const Value& item);
/// + - * / // % **
Value arithmetic(Runtime& runtime, std::string_view op, const Value& a, const Value& b);
Value negative(const Value& a);
Value positive(const Value& a);

// Members and elements (members.cpp).
/// subject.name and subject[key]: undefined where there is none; Error where `subject` is undefined.
Value member(Runtime& runtime, const Value& subject, const std::string& name);
Value element(Runtime& runtime, const Value& subject, const Value& key);
Value slice(Runtime& runtime, const Value& subject, const Value& start, const Value& stop, const Value& step);
/// subject.name without a look at its elements: undefined where there is none.
Value attribute(Runtime& runtime, const Value& subject, const std::string& name);
/// element() along "a.b.0"; what is undefined on the way becomes `otherwise`, if that is given and not none.
Value attribute_path(Runtime& runtime, const Value& subject, const Value& path, const Value* otherwise = nullptr);
/// Items [start:stop] of a sequence of `size`: the bounds as Python clamps them.
std::pair<size_t, size_t> clamped(size_t size, std::optional<int64_t> start, std::optional<int64_t> stop);

// Iteration (iteration.cpp).
/// What a for loop sees. Error if `value` cannot be iterated; a generator is read to its end.
std::vector<Value> iterate(Runtime& runtime, const Value& value);
/// The same one by one; a generator itself.
std::shared_ptr<Generator> iterator(Runtime& runtime, const Value& value);
bool is_iterable(const Value& value);
/// A generator over what depends on values as deep as `of`.
Value lazy(const Value& of, Generator::Next next);
/// Number of items, if it has one (a generator's are made for that); otherwise nothing.
std::optional<int64_t> length_of(Runtime& runtime, const Value& value);
int64_t length(Runtime& runtime, const Value& value);
Value make_range(Runtime& runtime, int64_t start, int64_t stop, int64_t step);

// Texts (printing.cpp, json.cpp, format_percent.cpp, format_braces.cpp, escape.cpp).
/// str(value), as {{ value }} prints it.
std::string text_of(Runtime& runtime, const Value& value);
/// repr(value).
std::string repr_of(Runtime& runtime, const Value& value);
/// The string itself, safe or not, or str(value).
Value soft_text(Runtime& runtime, const Value& value);
/// The safe text that shows a value in HTML.
std::string escape(std::string_view text);
Value escaped(Runtime& runtime, const Value& value);
/// The tojson filter as chat templates have it.
std::string to_json(Runtime& runtime, const CallArguments& arguments, const Value& value);
/// Python's format % arguments, and format.format(...): safe if the format is.
Value format_percent(Runtime& runtime, const Value& format, const Value& arguments);
Value format_braces(Runtime& runtime, const Value& format, const CallArguments& arguments);

// The library (library.cpp, filters_*.cpp, tests.cpp, methods*.cpp).
Value apply_filter(Runtime& runtime, const std::string& name, const Value& subject, const CallArguments& arguments);
bool apply_test(Runtime& runtime, const std::string& name, const Value& subject, const CallArguments& arguments);
bool has_method(const Value& self, std::string_view name);
Value call_method(Runtime& runtime, const Value& self, const std::string& name, const CallArguments& arguments);
/// Error for a name that begins with an underscore.
void check_namespace_name(const Value& name);
bool is_global_function(std::string_view name);
/// Why a function, filter or method that jinja2 has is not here; nothing for any other name.
std::optional<std::string> refused_name(std::string_view name);
Value call_global(Runtime& runtime, const std::string& name, const CallArguments& arguments);

using FilterFunction = Value (*)(Runtime&, const Value& subject, const CallArguments&);
using FilterTable = std::map<std::string, FilterFunction, std::less<>>;
const FilterTable& text_filters();
const FilterTable& number_filters();
const FilterTable& markup_filters();
const FilterTable& sequence_filters();
const FilterTable& lazy_filters();
const FilterTable& link_filters();
const FilterTable& pretty_filters();
bool is_filter_name(std::string_view name);

using Method = Value (*)(Runtime&, const Value& self, const CallArguments&);
using MethodTable = std::map<std::string, Method, std::less<>>;
const MethodTable& text_methods();

}  // namespace ingrain::jinja
