// Methods of what is no string: lists, dictionaries, numbers, and the things with a state.
#include "jinja/format_spec.h"
#include "jinja/loop.h"
#include "jinja/markup.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::jinja {
namespace {

template <List::Kind kKind>
Value dict_parts(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(self.as_dict()->items.size() * 3 * sizeof(Value));
  List out;
  out.kind = kKind;
  for (const auto& [key, value] : self.as_dict()->items)
    out.items.push_back(kKind == List::Kind::Keys     ? key
                        : kKind == List::Kind::Values ? value
                                                      : Value::list({key, value}, true));
  return Value::list(std::move(out));
}

Value dict_get(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("get", a, {"key", "default"}, 1);
  require(a.named.empty(), "get: takes no named arguments");
  rt.charge_key(*p[0]);
  const Value* found = self.as_dict()->find(*p[0]);
  return found ? *found : p[1] ? *p[1] : Value(None{});
}

Value copy(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("copy", a, {});
  if (const Dict* dict = self.as_dict()) return rt.charge(dict->items.size() * 128), Value::dict(*dict);
  return Value::list(iterate(rt, self));
}

Value from_keys(Runtime& rt, const Value&, const CallArguments& a) {
  const Parameters p("fromkeys", a, {"iterable", "value"}, 1);
  require(a.named.empty(), "fromkeys: takes no named arguments");
  Dict out;
  for (const Value& key : iterate(rt, *p[0])) {
    rt.charge(128);
    rt.charge_key(key);
    out.set(key, p[1] ? *p[1] : Value(None{}));
  }
  return Value::dict(std::move(out));
}

Value list_index(Runtime& rt, const Value& self, const CallArguments& a) {
  const bool range = self.as_list()->kind == List::Kind::Range;
  const Parameters p("index", a, {"value", "start", "stop"}, 1);
  require(a.named.empty() && (!range || !p[1]), "index: takes no such arguments");
  const auto& items = self.as_list()->items;
  const auto size = static_cast<int64_t>(items.size());
  const auto bound = [&](size_t i, int64_t otherwise) {
    const int64_t given = p.integer(i, otherwise);
    return std::min(given < 0 ? std::max<int64_t>(given + size, 0) : given, size);
  };
  const int64_t stop = bound(2, size);
  for (int64_t i = bound(1, 0); i < stop; ++i)
    if (same_or_equal(rt, items[static_cast<size_t>(i)], *p[0])) return i;
  fail("index: the value is not in the list");
}

Value list_count(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("count", a, {"value"}, 1);
  require(a.named.empty(), "count: takes no named arguments");
  int64_t count = 0;
  for (const Value& item : self.as_list()->items) count += same_or_equal(rt, item, *p[0]);
  return count;
}

/// Goes through the smaller of two views. Only keys have to be hashable.
Value is_disjoint(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("isdisjoint", a, {"other"}, 1);
  require(a.named.empty(), "isdisjoint: takes no named arguments");
  const List* other = p[0]->as_list();
  const bool set = other && other->is_set();
  const bool swapped = set && other->items.size() > self.as_list()->items.size();
  const Value &container = swapped ? *p[0] : self, &items = swapped ? self : *p[0];
  for (const Value& item : iterate(rt, items)) {
    rt.charge_key(item);
    if (container.as_list()->kind != List::Kind::Items) Dict().set(item, None{});
    if (contains(rt, container, item)) return false;
  }
  return true;
}

Value conjugate(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("conjugate", a, {});
  return positive(self);
}

Value bit_length(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("bit_length", a, {});
  auto number = wide_integer_of(self);
  require(number.has_value(), "bit_length: an integer exceeds 64 bits by far");
  int64_t bits = 0;
  for (; *number != 0; *number /= 2) ++bits;
  return bits;
}

Value bit_count(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("bit_count", a, {});
  auto number = wide_integer_of(self);
  require(number.has_value(), "bit_count: an integer exceeds 64 bits by far");
  int64_t bits = 0;
  for (; *number != 0; *number /= 2) bits += *number % 2 != 0;
  return bits;
}

/// The decimal digits of 2 to the power of `exponent`, of at most 1074.
std::string power_of_two(int exponent) {
  std::string digits = fmt::format("{:.0f}", std::ldexp(1.0, std::min(exponent, 1000)));
  for (int i = 1000; i < exponent; ++i) {
    int carry = 0;
    for (size_t at = digits.size(); at-- > 0;) {
      const int doubled = (digits[at] - '0') * 2 + carry;
      digits[at] = static_cast<char>('0' + doubled % 10);
      carry = doubled / 10;
    }
    if (carry > 0) digits.insert(0, 1, '1');
  }
  return digits;
}

/// Numerator and denominator, in lowest terms.
Value integer_ratio(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("as_integer_ratio", a, {});
  if (is_integer(self)) return Value::list({positive(self), Value(int64_t{1})}, true);
  rt.charge(32768);
  const double number = *self.as_double();
  require(std::isfinite(number), "as_integer_ratio: {} has none", float_text(number));
  int exponent = 0;
  auto mantissa = static_cast<int64_t>(std::ldexp(std::frexp(number, &exponent), 53));
  exponent -= 53;
  for (; mantissa != 0 && mantissa % 2 == 0 && exponent < 0; mantissa /= 2) ++exponent;
  if (mantissa == 0 || exponent >= 0)
    return Value::list({Value::integer(fmt::format("{:.0f}", number == 0 ? 0.0 : number)), Value(int64_t{1})}, true);
  return Value::list({Value(mantissa), Value::integer(power_of_two(-exponent))}, true);
}

Value hex_of(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("hex", a, {});
  rt.charge(64);
  const double number = *self.as_double();
  if (!std::isfinite(number)) return Value(float_text(number));
  int exponent = 0;
  double rest = std::frexp(std::abs(number), &exponent) * 2;  // 1 <= rest < 2, but for what is too small for that
  const int shift = std::max(-1022 - (exponent - 1), 0);
  exponent = number == 0 ? 0 : std::max(exponent - 1, -1022);
  rest = std::ldexp(rest, -shift);
  const double whole = std::trunc(rest);
  const auto fraction = static_cast<uint64_t>(std::ldexp(rest - whole, 52));
  if (number == 0) return Value(std::signbit(number) ? "-0x0.0p+0" : "0x0.0p+0");
  return Value(fmt::format("{}0x{:.0f}.{:013x}p{:+d}", std::signbit(number) ? "-" : "", whole, fraction, exponent));
}

Value from_hex(Runtime& rt, const Value&, const CallArguments& a) {
  const Parameters p("fromhex", a, {"string"}, 1);
  require(a.named.empty() && p[0]->as_text(), "fromhex: a string is needed, not {}", type_name(*p[0]));
  rt.charge(p[0]->as_text()->size());
  const auto number = parse_hex_float(*p[0]->as_text());
  require(number.has_value(), "fromhex: not a hexadecimal number");
  require(!std::isinf(*number) || p[0]->as_text()->find_first_of("nN") != std::string::npos,
          "fromhex: the number is too large");
  return *number;
}

Value is_whole(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("is_integer", a, {});
  return std::isfinite(*self.as_double()) && std::trunc(*self.as_double()) == *self.as_double();
}

Value cycler_next(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("next", a, {});
  Dict& state = self.as_namespace()->values;
  const auto& items = state.find("items")->as_list()->items;
  const auto at = static_cast<size_t>(*state.find("pos")->as_integer());
  state.set("pos", static_cast<int64_t>((at + 1) % items.size()));
  return items[at];
}

Value cycler_reset(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("reset", a, {});
  self.as_namespace()->values.set("pos", int64_t{0});
  return None{};
}

const MethodTable& methods_of(const Value& self) {
  static const MethodTable of_dicts = {{"copy", copy},
                                       {"fromkeys", from_keys},
                                       {"get", dict_get},
                                       {"items", dict_parts<List::Kind::Items>},
                                       {"keys", dict_parts<List::Kind::Keys>},
                                       {"values", dict_parts<List::Kind::Values>}};
  static const MethodTable of_sequences = {{"count", list_count}, {"index", list_index}};
  static const MethodTable of_lists = {{"copy", copy}, {"count", list_count}, {"index", list_index}};
  static const MethodTable of_views = {{"isdisjoint", is_disjoint}};
  static const MethodTable of_integers = {{"as_integer_ratio", integer_ratio},
                                          {"bit_count", bit_count},
                                          {"bit_length", bit_length},
                                          {"conjugate", conjugate}};
  static const MethodTable of_floats = {{"as_integer_ratio", integer_ratio},
                                        {"conjugate", conjugate},
                                        {"fromhex", from_hex},
                                        {"hex", hex_of},
                                        {"is_integer", is_whole}};
  static const MethodTable of_cyclers = {{"next", cycler_next}, {"reset", cycler_reset}};
  static const MethodTable none;
  if (self.as_text()) return text_methods();
  if (self.as_dict()) return of_dicts;
  if (const List* list = self.as_list())
    return list->is_list()                    ? of_lists
           : list->kind == List::Kind::Values ? none
           : list->is_view()                  ? of_views
                                              : of_sequences;
  if (is_integer(self)) return of_integers;
  if (self.as_double()) return of_floats;
  const auto space = self.as_namespace();
  return space && space->kind == Namespace::Kind::Cycler ? of_cyclers : none;
}

}  // namespace

namespace {

/// Methods that Python's values have and that are refused when they are called.
bool is_refused_method(const Value& self, std::string_view name) {
  if (self.as_text()) return name == "encode";
  if (self.as_generator()) return name == "send" || name == "throw" || name == "close";
  return is_integer(self) && (name == "to_bytes" || name == "from_bytes");
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  return is_refused_method(self, name) || methods_of(self).contains(name) ||
         (self.is_safe() && safe_text_methods().contains(name));
}

Value call_method(Runtime& runtime, const Value& self, const std::string& name, const CallArguments& arguments) {
  if (const auto loop = self.as_loop()) return call_loop_method(runtime, loop, name, arguments);
  if (is_refused_method(self, name)) fail("the member {} (of a {})", *refused_name(name), type_name(self));
  const auto& methods = methods_of(self);
  auto found = methods.find(name);
  if (found == methods.end() && self.is_safe()) {
    found = safe_text_methods().find(name);
    require(found != safe_text_methods().end(), "a value of type {} has no method '{}'", type_name(self), name);
    return found->second(runtime, self, arguments);
  }
  require(found != methods.end(), "a value of type {} has no method '{}'", type_name(self), name);
  return found->second(runtime, self, arguments);
}

}  // namespace ingrain::jinja
