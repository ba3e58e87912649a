// Methods of strings, lists and dictionaries that change nothing.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

using Method = Value (*)(Runtime&, const Value& self, const CallArguments&);
using MethodTable = std::map<std::string, Method, std::less<>>;

const std::string& text(const Value& self) { return *self.as_text(); }

template <Side kSide>
Value strip_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("strip", a, {"chars"});
  rt.charge(text(self).size() + p.text(0).value_or("").size() * 16);
  return Value(strip(text(self), kSide, p.text(0)));
}

template <std::string (*kMap)(std::string_view)>
Value map_method(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(text(self).size());
  return Value(kMap(text(self)));
}

Value texts(Runtime& rt, const std::vector<std::string_view>& parts) {
  rt.charge(parts.size() * 64);
  std::vector<Value> out;
  for (const std::string_view part : parts) out.emplace_back(part);
  return Value::list(std::move(out));
}

template <auto kSplit>
Value split_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("split", a, {"sep", "maxsplit"});
  require(!p.text(0) || !p.text(0)->empty(), "split: the separator is empty");
  rt.charge(text(self).size());
  return texts(rt, kSplit(text(self), p.text(0), p.integer(1, -1)));
}

Value splitlines(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("splitlines", a, {});
  rt.charge(text(self).size());
  return texts(rt, split_lines(text(self)));
}

/// startswith and endswith: one text or a tuple of them.
template <bool kStart>
Value has_end(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p(kStart ? "startswith" : "endswith", a, {"affix"}, 1);
  const List* several = p[0]->as_list();
  require(p[0]->as_text() || (several && several->tuple), "startswith, endswith: a string is needed, not {}",
          type_name(*p[0]));
  for (const Value& affix : several ? several->items : std::vector<Value>{*p[0]}) {
    require(affix.as_text() != nullptr, "startswith, endswith: a string is needed, not {}", type_name(affix));
    rt.charge(affix.as_text()->size());
    if (kStart ? text(self).starts_with(text(affix)) : text(self).ends_with(text(affix))) return true;
  }
  return false;
}

template <bool kStart>
Value remove_affix(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("removeprefix, removesuffix", a, {"affix"}, 1);
  const std::string_view affix = p.text(0).value_or("");
  rt.charge(text(self).size());
  std::string_view out = text(self);
  if (kStart && out.starts_with(affix)) out.remove_prefix(affix.size());
  if (!kStart && out.ends_with(affix)) out.remove_suffix(affix.size());
  return Value(out);
}

Value replace_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("replace", a, {"old", "new", "count"}, 2);
  require(p[0]->as_text() && p[1]->as_text(), "replace: two strings are needed");
  const size_t old_size = std::max<size_t>(p.text(0)->size(), 1);
  rt.charge((text(self).size() + 1) * (p.text(1)->size() + 1) / old_size);
  return Value(replace(text(self), *p.text(0), *p.text(1), p.integer(2, -1)));
}

Value join_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("join", a, {"iterable"}, 1);
  std::string out;
  bool first = true;
  for (const Value& item : iterate(rt, *p[0])) {
    require(item.as_text() != nullptr, "join: strings are needed, not {}", type_name(item));
    rt.charge(text(self).size() + text(item).size());
    if (!first) out += text(self);
    first = false;
    out += text(item);
  }
  return Value(std::move(out));
}

Value format_method(Runtime& rt, const Value& self, const CallArguments& a) {
  return Value(format_braces(rt, text(self), a));
}

/// find, rfind and index, in characters.
template <bool kLast, bool kMustExist>
Value find_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("find", a, {"sub"}, 1);
  require(p[0]->as_text() != nullptr, "find: a string is needed, not {}", type_name(*p[0]));
  rt.charge(text(self).size());
  size_t at = find(text(self), *p.text(0));
  if (kLast) {
    rt.charge(text(self).size() * std::max<size_t>(p.text(0)->size(), 1));  // the search from behind is a plain one
    at = text(self).rfind(*p.text(0));
  }
  require(at != std::string::npos || !kMustExist, "index: the text is not there");
  if (at == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(count_characters(std::string_view(text(self)).substr(0, at)));
}

Value count_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("count", a, {"sub"}, 1);
  require(p[0]->as_text() != nullptr, "count: a string is needed, not {}", type_name(*p[0]));
  rt.charge(text(self).size());
  if (p.text(0)->empty()) return static_cast<int64_t>(count_characters(text(self))) + 1;
  return static_cast<int64_t>(split(text(self), p.text(0), -1).size()) - 1;
}

/// Whether there are characters, all of them such.
template <bool (*kIs)(char32_t)>
Value all_are(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(text(self).size());
  for (size_t at = 0; at < text(self).size();)
    if (!kIs(next_character(text(self), at))) return false;
  return !text(self).empty();
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

template <int kPart>  // 0: keys, 1: values, 2: pairs
Value dict_parts(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(self.as_dict()->items.size() * 3 * sizeof(Value));
  std::vector<Value> out;
  for (const auto& [key, value] : self.as_dict()->items)
    out.push_back(kPart == 0 ? key : kPart == 1 ? value : Value::list({key, value}, true));
  return Value::list(std::move(out));
}

Value dict_get(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("get", a, {"key", "default"}, 1);
  rt.charge_key(*p[0]);
  const Value* found = self.as_dict()->find(*p[0]);
  return found ? *found : p[1] ? *p[1] : Value(None{});
}

Value copy(Runtime&, const Value& self, const CallArguments& a) {
  Parameters("copy", a, {});
  return self;
}

template <bool kIndex>
Value list_search(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p(kIndex ? "index" : "count", a, {"value"}, 1);
  int64_t count = 0;
  const auto& items = self.as_list()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!equal(rt, items[i], *p[0])) continue;
    if (kIndex) return static_cast<int64_t>(i);
    ++count;
  }
  require(!kIndex, "index: the value is not in the list");
  return count;
}

/// loop.cycle(a, b, ...): `self` is the loop's index.
Value loop_cycle(Runtime&, const Value& self, const CallArguments& a) {
  require(!a.positional.empty() && a.named.empty(), "loop.cycle: no values are given");
  return a.positional[static_cast<size_t>(*self.as_integer()) % a.positional.size()];
}

const MethodTable& methods_of(const Value& self) {
  static const MethodTable of_texts = {{"strip", strip_method<Side::Both>},
                                       {"lstrip", strip_method<Side::Left>},
                                       {"rstrip", strip_method<Side::Right>},
                                       {"upper", map_method<upper>},
                                       {"lower", map_method<lower>},
                                       {"capitalize", map_method<capitalize>},
                                       {"title", map_method<title>},
                                       {"split", split_method<split>},
                                       {"rsplit", split_method<split_right>},
                                       {"splitlines", splitlines},
                                       {"startswith", has_end<true>},
                                       {"endswith", has_end<false>},
                                       {"removeprefix", remove_affix<true>},
                                       {"removesuffix", remove_affix<false>},
                                       {"replace", replace_method},
                                       {"join", join_method},
                                       {"format", format_method},
                                       {"find", find_method<false, false>},
                                       {"rfind", find_method<true, false>},
                                       {"index", find_method<false, true>},
                                       {"count", count_method},
                                       {"isspace", all_are<is_space>},
                                       {"isdigit", all_are<is_digit>}};
  static const MethodTable of_dicts = {
      {"items", dict_parts<2>}, {"keys", dict_parts<0>}, {"values", dict_parts<1>}, {"get", dict_get}, {"copy", copy}};
  static const MethodTable of_lists = {{"index", list_search<true>}, {"count", list_search<false>}};
  static const MethodTable of_lists_only = {
      {"index", list_search<true>}, {"count", list_search<false>}, {"copy", copy}};
  static const MethodTable of_loops = {{"cycle", loop_cycle}};
  static const MethodTable none;
  if (self.as_text()) return of_texts;
  if (self.as_dict()) return of_dicts;
  if (self.as_list()) return self.as_list()->tuple ? of_lists : of_lists_only;
  return self.as_integer() ? of_loops : none;
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  return !self.as_integer() && methods_of(self).contains(name);
}

Value call_method(Runtime& runtime, const Value& self, const std::string& name, const CallArguments& arguments) {
  const auto& methods = methods_of(self);
  const auto found = methods.find(name);
  require(found != methods.end(), "a value of type {} has no method '{}'", type_name(self), name);
  return found->second(runtime, self, arguments);
}

}  // namespace ingrain::jinja
