// Equality, order and membership, with Python's rules for what fits what.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <cmath>
#include <compare>

namespace ingrain::jinja {
namespace {

bool equal_items(Runtime& runtime, const List& a, const List& b) {
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!same_or_equal(runtime, a.items[i], b.items[i])) return false;
  return true;
}

/// Keys and items of dictionaries are sets.
bool equal_lists(Runtime& runtime, const Value& x, const Value& y) {
  using Kind = List::Kind;
  const List &a = *x.as_list(), &b = *y.as_list();
  if (a.is_set() && b.is_set()) {
    if (a.items.size() != b.items.size()) return false;
    for (const Value& item : a.items)
      if (!contains(runtime, y, item)) return false;
    return true;
  }
  if (a.kind == Kind::Values || b.kind == Kind::Values) return &a == &b;
  if (a.kind != b.kind && !(a.is_tuple() && b.is_tuple())) return false;
  return equal_items(runtime, a, b);
}

bool equal_dicts(Runtime& runtime, const Dict& a, const Dict& b) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, position] : a.index) {
    const auto other = b.index.find(key);
    if (other == b.index.end()) return false;
    if (!same_or_equal(runtime, a.items[position].second, b.items[other->second].second)) return false;
  }
  return true;
}

std::strong_ordering compare_digits(std::string_view a, std::string_view b) {
  const bool negative = a.starts_with('-');
  if (negative != b.starts_with('-')) return negative ? std::strong_ordering::less : std::strong_ordering::greater;
  const auto size = a.size() <=> b.size();
  const auto order = size != 0 ? size : a.compare(b) <=> 0;
  return negative ? 0 <=> order : order;
}

/// Integers and floats by their exact values.
std::partial_ordering compare_numbers(const Value& a, const Value& b) {
  const double *x = a.as_double(), *y = b.as_double();
  if (x && y) return *x <=> *y;
  if (!x && !y) {
    const auto i = integer_of(a), j = integer_of(b);
    return i && j ? *i <=> *j : compare_digits(digits_of(a), digits_of(b));
  }
  if (x) return 0 <=> compare_numbers(b, a);
  if (!std::isfinite(*y)) return 0.0 <=> *y;
  const double whole = std::trunc(*y);
  const auto order = compare_digits(digits_of(a), fmt::format("{:.0f}", whole == 0 ? 0.0 : whole));
  return order != 0 ? std::partial_ordering(order) : 0.0 <=> *y - whole;
}

std::partial_ordering compare(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  runtime.charge(8);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  // Byte order of UTF-8 is the order of code points.
  if (a.as_text() && b.as_text()) return runtime.charge(a.as_text()->size() / 8), *a.as_text() <=> *b.as_text();
  const List *left = a.as_list(), *right = b.as_list();
  const bool fits = left && right && ((left->is_list() && right->is_list()) || (left->is_tuple() && right->is_tuple()));
  if (!fits) refuse_types(op, a, b);
  for (size_t i = 0; i < left->items.size() && i < right->items.size(); ++i)
    if (!same_or_equal(runtime, left->items[i], right->items[i]))
      return compare(runtime, op, left->items[i], right->items[i]);
  return left->items.size() <=> right->items.size();
}

/// Sets are ordered by what they contain.
std::optional<bool> ordered_views(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  const List *left = a.as_list(), *right = b.as_list();
  if (!left || !right || !left->is_set() || !right->is_set()) return std::nullopt;
  if (op[0] == '>') return ordered_views(runtime, op == ">" ? "<" : "<=", b, a);
  if (left->items.size() > right->items.size() || (op == "<" && left->items.size() == right->items.size()))
    return false;
  for (const Value& item : left->items)
    if (!contains(runtime, b, item)) return false;
  return true;
}

}  // namespace

bool identical(const Value& a, const Value& b) {
  if (a.data().index() != b.data().index()) return false;
  return std::visit(
      [&b](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        const Held& other = std::get<Held>(b.data());
        if constexpr (requires { held == other; })
          return held == other;
        else if constexpr (std::is_same_v<Held, Text>)
          return held.text == other.text;
        else if constexpr (std::is_same_v<Held, BigInteger>)
          return held.digits == other.digits;
        else if constexpr (std::is_same_v<Held, Undefined>)
          return held.what == other.what;
        else
          return true;
      },
      a.data());
}

bool same_or_equal(Runtime& runtime, const Value& a, const Value& b) { return equal(runtime, a, b); }

bool equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.charge(8);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.data().index() != b.data().index()) return false;
  if (const std::string* text = a.as_text()) return runtime.charge(text->size() / 8), *text == *b.as_text();
  if (a.as_list()) return equal_lists(runtime, a, b);
  if (const Dict* dict = a.as_dict()) return equal_dicts(runtime, *dict, *b.as_dict());
  if (const Callable* callable = a.as_callable(); callable && !callable->macro) {
    const Callable* other = b.as_callable();
    return !other->macro && callable->name == other->name && identical(callable->self, other->self);
  }
  return a.is_undefined() || identical(a, b);
}

bool less(Runtime& runtime, const Value& a, const Value& b) { return ordered(runtime, "<", a, b); }

bool ordered(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  if (const auto sets = ordered_views(runtime, op, a, b)) return *sets;
  const auto order = compare(runtime, op, a, b);
  return op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0;
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.is_undefined()) return false;
  if (const std::string* text = container.as_text()) {
    if (!item.as_text()) refuse_types("in", item, container);
    runtime.charge(text->size());
    return find(*text, *item.as_text()) != std::string_view::npos;
  }
  if (const Dict* dict = container.as_dict()) return runtime.charge_key(item), dict->find(item) != nullptr;
  if (const List* list = container.as_list()) {
    if (list->kind == List::Kind::Keys || list->kind == List::Kind::Set) {
      runtime.charge_key(item);
      Dict().set(item, None{});  // what can be no key is looked for in vain nowhere: an error
    }
    if (list->kind == List::Kind::Items &&
        !(item.as_list() && item.as_list()->is_tuple() && item.as_list()->items.size() == 2))
      return false;
    for (const Value& candidate : list->items)
      if (same_or_equal(runtime, candidate, item)) return true;
    return false;
  }
  if (!is_iterable(container)) refuse_types("in", item, container);
  const auto items = iterator(runtime, container);
  while (const auto candidate = items->pull(runtime))
    if (same_or_equal(runtime, *candidate, item)) return true;
  return false;
}

}  // namespace ingrain::jinja
