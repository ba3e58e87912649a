// Filters whose results are read once, item by item.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

CallArguments without_first(const CallArguments& a, size_t count) {
  count = std::min(count, a.positional.size());
  return {{a.positional.begin() + static_cast<std::ptrdiff_t>(count), a.positional.end()}, a.named};
}

/// A generator over `x` and what `arguments` hold.
Value lazily(const Value& x, const CallArguments& arguments, Generator::Next next) {
  std::vector<Value> held = arguments.positional;
  for (const auto& [name, value] : arguments.named) held.push_back(value);
  held.push_back(x);
  return lazy(Value::list(std::move(held)), std::move(next));
}

/// Gives the items of `x` one by one; none of what is false, whatever it is.
class Source {
 public:
  explicit Source(Value x) : x_(std::move(x)) {}

  std::optional<Value> next(Runtime& rt) {
    if (!items_) {
      if (!truth(x_)) return std::nullopt;
      items_ = iterator(rt, x_);
    }
    rt.charge(64);
    return items_->pull(rt);
  }

 private:
  Value x_;
  std::shared_ptr<Generator> items_;
};

Value filter_map(Runtime&, const Value& x, const CallArguments& a) {
  const bool attribute = a.positional.empty() && a.find("attribute");
  return lazily(x, a, [source = Source(x), a, attribute](Runtime& rt) mutable -> std::optional<Value> {
    const auto item = source.next(rt);
    if (!item) return std::nullopt;
    if (!attribute) {
      require(!a.positional.empty() && a.positional[0].as_text(), "map: the first argument must be a filter's name");
      return apply_filter(rt, *a.positional[0].as_text(), *item, without_first(a, 1));
    }
    const Parameters p("map", a, {"attribute", "default"}, 1);
    return attribute_path(rt, *item, *p[0], p[1]);
  });
}

/// select, reject, selectattr, rejectattr: the items that (do not) pass a test, or are (not) true without one.
template <bool kKeep, bool kAttribute>
Value filter_select(Runtime&, const Value& x, const CallArguments& a) {
  return lazily(x, a, [source = Source(x), a](Runtime& rt) mutable -> std::optional<Value> {
    constexpr size_t kName = kAttribute ? 1 : 0;
    while (auto item = source.next(rt)) {
      require(a.positional.size() >= kName, "selectattr, rejectattr: the attribute is missing");
      const bool tested = a.positional.size() > kName;
      require(!tested || a.positional[kName].as_text(), "select, reject: a test's name must be a string");
      const Value subject = kAttribute ? attribute_path(rt, *item, a.positional[0]) : *item;
      const bool passes = tested ? apply_test(rt, *a.positional[kName].as_text(), subject, without_first(a, kName + 1))
                                 : truth(subject);
      if (passes == kKeep) return item;
    }
    return std::nullopt;
  });
}

Value filter_unique(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("unique", a, {"case_sensitive", "attribute"});
  rt.charge(64);
  const Value path = p[1] ? *p[1] : Value(None{});
  return lazily(x, a,
                [x, path, sensitive = p.flag(0, false), items = std::shared_ptr<Generator>(),
                 seen = Dict()](Runtime& run) mutable -> std::optional<Value> {
                  if (!items) items = iterator(run, x);
                  while (auto item = items->pull(run)) {
                    run.charge(128);
                    Value key = attribute_path(run, *item, path);
                    if (const std::string* text = key.as_text(); text && !sensitive) key = Value(lower(*text));
                    run.charge_key(key);
                    if (seen.find(key)) continue;
                    seen.set(key, None{});
                    return item;
                  }
                  return std::nullopt;
                });
}

Value filter_items(Runtime&, const Value& x, const CallArguments& a) {
  Parameters("items", a, {});
  return lazily(x, a, [x, at = size_t{0}](Runtime& rt) mutable -> std::optional<Value> {
    if (x.is_undefined()) return std::nullopt;
    const Dict* dict = x.as_dict();
    require(dict != nullptr, "items: not a dictionary but {}", type_name(x));
    rt.charge(128);
    if (at >= dict->items.size()) return std::nullopt;
    const auto& [key, value] = dict->items[at++];
    return Value::list({key, value}, true);
  });
}

Value filter_batch(Runtime&, const Value& x, const CallArguments& a) {
  const Parameters p("batch", a, {"linecount", "fill_with"}, 1);
  const Value count = *p[0], fill = p[1] ? *p[1] : Value(None{});
  return lazily(x, a,
                [x, count, fill, items = std::shared_ptr<Generator>(), line = std::vector<Value>(),
                 done = false](Runtime& rt) mutable -> std::optional<Value> {
                  if (!items) items = iterator(rt, x);
                  while (auto item = done ? std::nullopt : items->pull(rt)) {
                    rt.charge(64);
                    const bool full = equal(rt, static_cast<int64_t>(line.size()), count);
                    std::optional<Value> out;
                    if (full) out = Value::list(std::exchange(line, {}));
                    line.push_back(*std::move(item));
                    if (out) return out;
                  }
                  if (std::exchange(done, true) || line.empty()) return std::nullopt;
                  const Value missing = fill.is_none() ? Value(int64_t{0})
                                                       : arithmetic(rt, "-", count, static_cast<int64_t>(line.size()));
                  if (!fill.is_none() && less(rt, int64_t{0}, missing)) {
                    const Value filled = arithmetic(rt, "*", Value::list({fill}), missing);
                    line.insert(line.end(), filled.as_list()->items.begin(), filled.as_list()->items.end());
                  }
                  return Value::list(std::exchange(line, {}));
                });
}

Value filter_slice(Runtime&, const Value& x, const CallArguments& a) {
  const Parameters p("slice", a, {"slices", "fill_with"}, 1);
  const Value slices = *p[0], fill = p[1] ? *p[1] : Value(None{});
  return lazily(x, a,
                [x, slices, fill, items = std::optional<std::vector<Value>>(), at = int64_t{0},
                 offset = int64_t{0}](Runtime& rt) mutable -> std::optional<Value> {
                  if (!items) items = iterate(rt, x);
                  refuse_undefined(slices);
                  const auto count = integer_of(slices);
                  require(count.has_value(), "slice: the number of slices must be an integer, not {}",
                          type_name(slices));
                  require(*count != 0, "slice: zero slices");
                  if (at >= *count) return std::nullopt;
                  const auto size = static_cast<int64_t>(items->size());
                  const int64_t each = size / *count, longer = size % *count;
                  rt.charge(64 + static_cast<uint64_t>(each) * sizeof(Value));
                  const int64_t start = offset + at * each;
                  if (at < longer) ++offset;
                  std::vector<Value> part(items->begin() + start, items->begin() + offset + (at + 1) * each);
                  if (!fill.is_none() && at >= longer) part.push_back(fill);
                  ++at;
                  return Value::list(std::move(part));
                });
}

Value filter_reverse(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("reverse", a, {});
  if (x.as_text()) return slice(rt, x, None{}, None{}, int64_t{-1});
  auto items = iterate(rt, x);
  std::reverse(items.begin(), items.end());
  if (x.as_generator() || x.as_loop()) return Value::list(std::move(items));
  return lazily(x, a, [items = std::move(items), at = size_t{0}](Runtime& run) mutable -> std::optional<Value> {
    run.charge(16);
    return at < items.size() ? std::optional(std::move(items[at++])) : std::nullopt;
  });
}

}  // namespace

const FilterTable& lazy_filters() {
  static const FilterTable table = {{"batch", filter_batch},
                                    {"items", filter_items},
                                    {"map", filter_map},
                                    {"reject", filter_select<false, false>},
                                    {"rejectattr", filter_select<false, true>},
                                    {"reverse", filter_reverse},
                                    {"select", filter_select<true, false>},
                                    {"selectattr", filter_select<true, true>},
                                    {"slice", filter_slice},
                                    {"unique", filter_unique}};
  return table;
}

}  // namespace ingrain::jinja
