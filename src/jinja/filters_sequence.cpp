// Filters over lists, dictionaries and the characters of strings.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

/// Case does not count in sorting unless the template asks for it.
Value without_case(Runtime& rt, const Value& x) {
  if (!x.as_text()) return x;
  rt.charge(x.as_text()->size());
  return Value(lower(*x.as_text()));
}

/// The value by which an item is compared: its attribute, if one is named, with case folded unless
/// `sensitive`.
Value sort_key(Runtime& rt, const Value& item, const Value* attribute, bool sensitive) {
  const Value key = attribute && !attribute->is_none() ? attribute_path(rt, item, *attribute) : item;
  return sensitive ? key : without_case(rt, key);
}

/// Several attributes, "a,b", make a list of keys.
Value sort_keys(Runtime& rt, const Value& item, const Value* attribute, bool sensitive) {
  if (!attribute || !attribute->as_text() || attribute->as_text()->find(',') == std::string::npos)
    return sort_key(rt, item, attribute, sensitive);
  std::vector<Value> keys;
  for (const std::string_view part : split(*attribute->as_text(), ",", -1)) {
    const Value path(part);
    keys.push_back(sort_key(rt, item, &path, sensitive));
  }
  return Value::list(std::move(keys));
}

struct Keyed {
  Value key, item;
};

void sort_stably(Runtime& rt, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(rt, b.key, a.key) : less(rt, a.key, b.key);
  });
}

Value items_of(std::vector<Keyed> keyed) {
  std::vector<Value> out;
  for (Keyed& k : keyed) out.push_back(std::move(k.item));
  return Value::list(std::move(out));
}

Value filter_length(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("length", a, {});
  return length(rt, x);
}

Value filter_list(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("list", a, {});
  return Value::list(iterate(rt, x));
}

Value filter_first(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("first", a, {});
  const auto items = iterate(rt, x);
  return items.empty() ? Value::undefined("'first' of an empty sequence is undefined") : items.front();
}

Value filter_last(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("last", a, {});
  const auto items = iterate(rt, x);
  return items.empty() ? Value::undefined("'last' of an empty sequence is undefined") : items.back();
}

Value filter_reverse(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("reverse", a, {});
  if (x.as_text()) return slice(rt, x, None{}, None{}, int64_t{-1});
  auto items = iterate(rt, x);
  std::reverse(items.begin(), items.end());
  return Value::list(std::move(items));
}

Value filter_join(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("join", a, {"d", "attribute"});
  const std::string separator = p[0] ? text_of(rt, *p[0]) : "";
  std::string out;
  bool first = true;
  for (const Value& item : iterate(rt, x)) {
    rt.charge(separator.size());
    if (!first) out += separator;
    first = false;
    out += text_of(rt, p[1] && !p[1]->is_none() ? attribute_path(rt, item, *p[1]) : item);
  }
  return Value(std::move(out));
}

Value filter_items(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("items", a, {});
  if (x.is_undefined()) return Value::list({});
  require(x.as_dict() != nullptr, "items: not a dictionary but {}", type_name(x));
  return call_method(rt, x, "items", {});
}

Value filter_dictsort(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("dictsort", a, {"case_sensitive", "by", "reverse"});
  require(x.as_dict() != nullptr, "dictsort: not a dictionary but {}", type_name(x));
  const std::string_view by = p.text(1).value_or("key");
  require(by == "key" || by == "value", "dictsort: by '{}'; 'key' and 'value' are known", by);
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : x.as_dict()->items)
    keyed.push_back(
        {sort_key(rt, by == "key" ? key : value, nullptr, p.flag(0, false)), Value::list({key, value}, true)});
  sort_stably(rt, keyed, p.flag(2, false));
  return items_of(std::move(keyed));
}

Value filter_sort(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("sort", a, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(rt, x)) keyed.push_back({sort_keys(rt, item, p[2], p.flag(1, false)), item});
  sort_stably(rt, keyed, p.flag(0, false));
  return items_of(std::move(keyed));
}

Value filter_unique(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("unique", a, {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Value> out;
  for (const Value& item : iterate(rt, x)) {
    rt.charge(128);
    const Value key = sort_key(rt, item, p[1], p.flag(0, false));
    rt.charge_key(key);
    if (seen.find(key)) continue;
    seen.set(key, None{});
    out.push_back(item);
  }
  return Value::list(std::move(out));
}

template <bool kMax>
Value filter_extreme(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p(kMax ? "max" : "min", a, {"case_sensitive", "attribute"});
  std::optional<Keyed> best;
  for (const Value& item : iterate(rt, x)) {
    Keyed next{sort_key(rt, item, p[1], p.flag(0, false)), item};
    if (!best || (kMax ? less(rt, best->key, next.key) : less(rt, next.key, best->key))) best = std::move(next);
  }
  return best ? best->item : Value::undefined("the extreme of an empty sequence is undefined");
}

Value filter_sum(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("sum", a, {"attribute", "start"});
  Value total = p[1] ? *p[1] : Value(int64_t{0});
  require(!total.as_text(), "sum: cannot add strings; use join");
  for (const Value& item : iterate(rt, x))
    total = arithmetic(rt, "+", total, p[0] && !p[0]->is_none() ? attribute_path(rt, item, *p[0]) : item);
  return total;
}

Value filter_batch(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("batch", a, {"linecount", "fill_with"}, 1);
  const int64_t size = p.integer(0, 0);
  require(size >= 1 && size <= 100000, "batch: {} items a line", size);
  std::vector<Value> lines, line;
  for (const Value& item : iterate(rt, x)) {
    line.push_back(item);
    if (static_cast<int64_t>(line.size()) == size) lines.push_back(Value::list(std::exchange(line, {})));
  }
  if (!line.empty()) {
    if (p[1] && !p[1]->is_none()) {
      rt.charge(static_cast<uint64_t>(size) * sizeof(Value));
      line.resize(static_cast<size_t>(size), *p[1]);
    }
    lines.push_back(Value::list(std::move(line)));
  }
  return Value::list(std::move(lines));
}

CallArguments without_first(const CallArguments& a, size_t count) {
  CallArguments out{{a.positional.begin() + static_cast<std::ptrdiff_t>(count), a.positional.end()}, a.named};
  return out;
}

Value filter_map(Runtime& rt, const Value& x, const CallArguments& a) {
  if (!truth(x)) return Value::list({});  // whatever it is
  std::vector<Value> out;
  if (a.positional.empty()) {
    const Parameters p("map", a, {"attribute", "default"}, 1);
    for (const Value& item : iterate(rt, x)) {
      Value found = attribute_path(rt, item, *p[0]);
      out.push_back(found.is_undefined() && p[1] ? *p[1] : std::move(found));
    }
    return Value::list(std::move(out));
  }
  require(a.positional[0].as_text() != nullptr, "map: the first argument must be a filter's name");
  const CallArguments rest = without_first(a, 1);
  for (const Value& item : iterate(rt, x)) {
    rt.charge(64);
    out.push_back(apply_filter(rt, *a.positional[0].as_text(), item, rest));
  }
  return Value::list(std::move(out));
}

/// select, reject, selectattr, rejectattr: the items that (do not) pass a test, or are (not) true without
/// one.
template <bool kKeep, bool kAttribute>
Value filter_select(Runtime& rt, const Value& x, const CallArguments& a) {
  constexpr size_t kName = kAttribute ? 1 : 0;
  require(a.positional.size() >= kName, "selectattr, rejectattr: the attribute is missing");
  const bool tested = a.positional.size() > kName;
  require(!tested || a.positional[kName].as_text(), "select, reject: a test's name must be a string");
  const CallArguments rest = without_first(a, std::min(a.positional.size(), kName + 1));
  if (!truth(x)) return Value::list({});  // whatever it is
  std::vector<Value> out;
  for (const Value& item : iterate(rt, x)) {
    rt.charge(64);
    const Value subject = kAttribute ? attribute_path(rt, item, a.positional[0]) : item;
    const bool passes = tested ? apply_test(rt, *a.positional[kName].as_text(), subject, rest) : truth(subject);
    if (passes == kKeep) out.push_back(item);
  }
  return Value::list(std::move(out));
}

}  // namespace

const FilterTable& sequence_filters() {
  static const FilterTable table = {{"batch", filter_batch},
                                    {"count", filter_length},
                                    {"dictsort", filter_dictsort},
                                    {"first", filter_first},
                                    {"items", filter_items},
                                    {"join", filter_join},
                                    {"last", filter_last},
                                    {"length", filter_length},
                                    {"list", filter_list},
                                    {"map", filter_map},
                                    {"max", filter_extreme<true>},
                                    {"min", filter_extreme<false>},
                                    {"reject", filter_select<false, false>},
                                    {"rejectattr", filter_select<false, true>},
                                    {"reverse", filter_reverse},
                                    {"select", filter_select<true, false>},
                                    {"selectattr", filter_select<true, true>},
                                    {"sort", filter_sort},
                                    {"sum", filter_sum},
                                    {"unique", filter_unique}};
  return table;
}

}  // namespace ingrain::jinja
