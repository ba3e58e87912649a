// Filters over lists, dictionaries and the characters of strings.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>
#include <cmath>

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

/// The keys of an item as a list, one for each of "a,b": equal ones are never asked for their order.
Value sort_keys(Runtime& rt, const Value& item, const Value* attribute, bool sensitive) {
  std::vector<Value> keys;
  if (!attribute || !attribute->as_text()) return Value::list({sort_key(rt, item, attribute, sensitive)});
  for (const std::string_view part : split(*attribute->as_text(), ",", -1)) {
    const Value path(part);
    keys.push_back(sort_key(rt, item, &path, sensitive));
  }
  return Value::list(std::move(keys));
}

struct Keyed {
  Value key, item;
};

/// sorted()'s `reverse`: a number, whose truth counts.
bool reverse_flag(const Parameters& p, size_t i) {
  require(!p[i] || integer_of(*p[i]), "sort, dictsort: 'reverse' must be a truth value, not {}",
          p[i] ? type_name(*p[i]) : "");
  return p.flag(i, false);
}

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
  const auto first = iterator(rt, x)->pull(rt);
  return first ? *first : Value::undefined("'first' of an empty sequence is undefined");
}

Value filter_last(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("last", a, {});
  const Value nothing = Value::undefined("'last' of an empty sequence is undefined");
  if (x.as_text()) return x.as_text()->empty() ? nothing : element(rt, x, int64_t{-1});
  require(!x.as_loop(), "'last' of a loop");
  const auto items = iterate(rt, x);
  return items.empty() ? nothing : items.back();
}

Value filter_join(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("join", a, {"d", "attribute"});
  Value separator = p[0] ? *p[0] : Value("");
  std::vector<Value> items = iterate(rt, x);
  if (p[1] && !p[1]->is_none())
    for (Value& item : items) item = attribute_path(rt, item, *p[1]);
  const bool any_safe = std::any_of(items.begin(), items.end(), [](const Value& item) { return item.is_safe(); });
  if (rt.autoescape && any_safe) separator = escaped(rt, separator);
  const bool safe = rt.autoescape && separator.is_safe();
  const std::string between = text_of(rt, separator);
  std::string out;
  bool first = true;
  for (const Value& item : items) {
    rt.charge(between.size());
    if (!first) out += between;
    first = false;
    out += safe ? *escaped(rt, item).as_text() : text_of(rt, item);
  }
  return Value(std::move(out), safe);
}

Value filter_dictsort(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("dictsort", a, {"case_sensitive", "by", "reverse"});
  require(x.as_dict() != nullptr, "dictsort: not a dictionary but {}", type_name(x));
  const std::string_view by = p[1] && p[1]->is_none() ? "none" : p.text(1).value_or("key");
  require(by == "key" || by == "value", "dictsort: by '{}'; 'key' and 'value' are known", by);
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : x.as_dict()->items)
    keyed.push_back(
        {sort_key(rt, by == "key" ? key : value, nullptr, p.flag(0, false)), Value::list({key, value}, true)});
  sort_stably(rt, keyed, reverse_flag(p, 2));
  return items_of(std::move(keyed));
}

Value filter_sort(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("sort", a, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(rt, x)) keyed.push_back({sort_keys(rt, item, p[2], p.flag(1, false)), item});
  sort_stably(rt, keyed, reverse_flag(p, 0));
  return items_of(std::move(keyed));
}

template <bool kMax>
Value filter_extreme(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p(kMax ? "max" : "min", a, {"case_sensitive", "attribute"});
  std::optional<Keyed> best;
  for (const Value& item : iterate(rt, x)) {
    Keyed next{sort_key(rt, item, p[1], p.flag(0, false)), item};
    if (!best || ordered(rt, kMax ? ">" : "<", next.key, best->key)) best = std::move(next);
  }
  return best ? best->item : Value::undefined("the extreme of an empty sequence is undefined");
}

Value filter_sum(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("sum", a, {"attribute", "start"});
  Value total = p[1] ? *p[1] : Value(int64_t{0});
  const auto items = iterate(rt, x);
  require(!total.as_text(), "sum: cannot add strings; use join");
  for (const Value& item : items)
    total = arithmetic(rt, "+", total, p[0] && !p[0]->is_none() ? attribute_path(rt, item, *p[0]) : item);
  return total;
}

/// Groups of equal attributes: (attribute of the first, list) each.
/// Numbers that are none are the default, one object to Python, where that is one.
bool same_key(Runtime& rt, const Value& a, const Value& b) {
  const auto is_nan = [](const Value& x) { return x.as_double() && std::isnan(*x.as_double()); };
  return equal(rt, a, b) || (is_nan(a) && is_nan(b));
}

Value filter_groupby(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("groupby", a, {"attribute", "default", "case_sensitive"}, 1);
  const bool sensitive = p.flag(2, false);
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(rt, x)) {
    const Value key = attribute_path(rt, item, *p[0], p[1]);
    keyed.push_back({sensitive ? key : without_case(rt, key), item});
  }
  sort_stably(rt, keyed, false);
  std::vector<Value> groups;
  for (size_t first = 0; first < keyed.size();) {
    size_t end = first;
    std::vector<Value> items;
    while (end < keyed.size() && (end == first || same_key(rt, keyed[end].key, keyed[first].key)))
      items.push_back(keyed[end++].item);
    const Value name = sensitive ? keyed[first].key : attribute_path(rt, keyed[first].item, *p[0], p[1]);
    List group;
    group.kind = List::Kind::Group;
    group.items = {name, Value::list(std::move(items))};
    groups.push_back(Value::list(std::move(group)));
    first = end;
  }
  return Value::list(std::move(groups));
}

}  // namespace

const FilterTable& sequence_filters() {
  static const FilterTable table = {
      {"count", filter_length},       {"dictsort", filter_dictsort}, {"first", filter_first},
      {"groupby", filter_groupby},    {"join", filter_join},         {"last", filter_last},
      {"length", filter_length},      {"list", filter_list},         {"max", filter_extreme<true>},
      {"min", filter_extreme<false>}, {"sort", filter_sort},         {"sum", filter_sum}};
  return table;
}

}  // namespace ingrain::jinja
