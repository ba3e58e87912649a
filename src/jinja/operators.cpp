// Operators between values, with Python's rules for what fits what.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <cmath>

namespace ingrain::jinja {
namespace {

std::optional<double> number_of(const Value& value) {
  if (const double* d = value.as_double()) return *d;
  if (const auto i = integer_of(value)) return static_cast<double>(*i);
  return std::nullopt;
}

[[noreturn]] void refuse_types(std::string_view op, const Value& a, const Value& b) {
  refuse_undefined(a);
  refuse_undefined(b);
  fail("'{}' does not work between {} and {}", op, type_name(a), type_name(b));
}

int64_t floor_divide(int64_t a, int64_t b) {
  require(b != 0, "division by zero");
  require(b != -1 || a != std::numeric_limits<int64_t>::min(), "an integer exceeds 64 bits");
  const int64_t quotient = a / b;
  return quotient - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t out = 1;
  bool overflow = false;
  while (exponent > 0 && !overflow) {
    if (exponent & 1) overflow = __builtin_mul_overflow(out, base, &out);
    exponent >>= 1;
    if (exponent > 0 && !overflow) overflow = __builtin_mul_overflow(base, base, &base);
  }
  require(!overflow, "an integer exceeds 64 bits");
  return out;
}

Value integer_arithmetic(std::string_view op, int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = false;
  if (op == "+")
    overflow = __builtin_add_overflow(a, b, &out);
  else if (op == "-")
    overflow = __builtin_sub_overflow(a, b, &out);
  else if (op == "*")
    overflow = __builtin_mul_overflow(a, b, &out);
  else if (op == "//")
    out = floor_divide(a, b);
  else if (op == "%")
    out = b == -1 ? 0 : a - floor_divide(a, b) * b;
  else if (op == "/")
    return require(b != 0, "division by zero"), static_cast<double>(a) / static_cast<double>(b);
  else if (b >= 0)
    out = integer_power(a, b);
  else
    return require(a != 0, "division by zero"), std::pow(static_cast<double>(a), static_cast<double>(b));
  require(!overflow, "an integer exceeds 64 bits");
  return out;
}

Value float_arithmetic(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") {
    require(a >= 0 || std::nearbyint(b) == b, "a root of a negative number");
    require(a != 0 || b >= 0, "division by zero");
    return std::pow(a, b);
  }
  require(b != 0, "division by zero");
  if (op == "/") return a / b;
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (op == "%") return rest == 0 ? std::copysign(0.0, b) : rest;
  const double quotient = std::nearbyint((a - rest) / b);
  return quotient == 0 ? std::copysign(0.0, a / b) : quotient;
}

/// Sequences: + joins two of a kind, * repeats.
std::optional<Value> sequence_arithmetic(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  if (op == "+") {
    if (a.as_text() && b.as_text()) {
      runtime.charge(a.as_text()->size() + b.as_text()->size());
      return Value(*a.as_text() + *b.as_text());
    }
    const List *left = a.as_list(), *right = b.as_list();
    if (!left || !right || left->tuple != right->tuple) return std::nullopt;
    runtime.charge((left->items.size() + right->items.size()) * sizeof(Value));
    std::vector<Value> items = left->items;
    items.insert(items.end(), right->items.begin(), right->items.end());
    return Value::list(std::move(items), left->tuple);
  }
  const Value& sequence = integer_of(a) ? b : a;
  const auto times = integer_of(integer_of(a) ? a : b);
  if (op != "*" || !times || (!sequence.as_text() && !sequence.as_list())) return std::nullopt;
  const uint64_t count = *times > 0 ? static_cast<uint64_t>(*times) : 0;
  const size_t size =
      sequence.as_text() ? sequence.as_text()->size() : sequence.as_list()->items.size() * sizeof(Value);
  uint64_t total = 0;
  require(!__builtin_mul_overflow(count, size, &total), "a repetition is too long");
  runtime.charge(total);
  if (size == 0) return sequence;
  if (const std::string* text = sequence.as_text()) {
    std::string out;
    out.reserve(total);
    for (uint64_t i = 0; i < count; ++i) out += *text;
    return Value(std::move(out));
  }
  std::vector<Value> items;
  const List& list = *sequence.as_list();
  for (uint64_t i = 0; i < count; ++i) items.insert(items.end(), list.items.begin(), list.items.end());
  return Value::list(std::move(items), list.tuple);
}

bool equal_lists(Runtime& runtime, const List& a, const List& b) {
  if (a.tuple != b.tuple || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!equal(runtime, a.items[i], b.items[i])) return false;
  return true;
}

bool equal_dicts(Runtime& runtime, const Dict& a, const Dict& b) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, position] : a.index) {
    const auto other = b.index.find(key);
    if (other == b.index.end()) return false;
    if (!equal(runtime, a.items[position].second, b.items[other->second].second)) return false;
  }
  return true;
}

}  // namespace

bool equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.charge(8);
  if (a.is_number() && b.is_number()) {
    const auto i = integer_of(a), j = integer_of(b);
    return i && j ? *i == *j : *number_of(a) == *number_of(b);
  }
  if (a.data().index() != b.data().index()) return false;
  if (const std::string* text = a.as_text()) return runtime.charge(text->size() / 8), *text == *b.as_text();
  if (const List* list = a.as_list()) return equal_lists(runtime, *list, *b.as_list());
  if (const Dict* dict = a.as_dict()) return equal_dicts(runtime, *dict, *b.as_dict());
  if (a.as_namespace()) return a.as_namespace() == b.as_namespace();
  if (a.as_callable()) return a.as_callable() == b.as_callable();
  return true;  // none, undefined
}

bool less(Runtime& runtime, const Value& a, const Value& b) {
  runtime.charge(8);
  if (a.is_number() && b.is_number()) {
    const auto i = integer_of(a), j = integer_of(b);
    return i && j ? *i < *j : *number_of(a) < *number_of(b);
  }
  // Byte order of UTF-8 is the order of code points.
  if (a.as_text() && b.as_text()) return runtime.charge(a.as_text()->size() / 8), *a.as_text() < *b.as_text();
  const List *left = a.as_list(), *right = b.as_list();
  if (!left || !right || left->tuple != right->tuple) refuse_types("<", a, b);
  for (size_t i = 0; i < left->items.size() && i < right->items.size(); ++i)
    if (!equal(runtime, left->items[i], right->items[i])) return less(runtime, left->items[i], right->items[i]);
  return left->items.size() < right->items.size();
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.is_undefined()) return false;
  if (const std::string* text = container.as_text()) {
    if (!item.as_text()) refuse_types("in", item, container);
    runtime.charge(text->size());
    return find(*text, *item.as_text()) != std::string_view::npos;
  }
  if (const Dict* dict = container.as_dict()) return runtime.charge_key(item), dict->find(item) != nullptr;
  const List* list = container.as_list();
  if (!list) refuse_types("in", item, container);
  for (const Value& candidate : list->items)
    if (equal(runtime, candidate, item)) return true;
  return false;
}

Value arithmetic(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  if (const auto i = integer_of(a), j = integer_of(b); i && j) return integer_arithmetic(op, *i, *j);
  if (const auto x = number_of(a), y = number_of(b); x && y) return float_arithmetic(op, *x, *y);
  if (op == "%" && a.as_text()) {
    const List* several = b.as_list();
    return format_percent(runtime, *a.as_text(), several && several->tuple ? several->items : std::vector<Value>{b});
  }
  if (auto out = sequence_arithmetic(runtime, op, a, b)) return *std::move(out);
  refuse_types(op, a, b);
}

Value negative(const Value& a) {
  if (const double* d = a.as_double()) return -*d;
  if (const auto i = integer_of(a)) return integer_arithmetic("-", 0, *i);
  refuse_undefined(a);
  fail("'-' does not work on {}", type_name(a));
}

}  // namespace ingrain::jinja
