// Methods of strings. Those of a safe text give safe texts and escape what they take in.
#include "base/text.h"
#include "jinja/format_spec.h"
#include "jinja/markup.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

const std::string& text(const Value& self) { return *self.as_text(); }

/// A text of self's kind.
Value like(const Value& self, std::string_view text) { return Value(text, self.is_safe()); }

template <Side kSide>
Value strip_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("strip", a, {"chars"});
  require(a.named.empty(), "strip: takes no named arguments");
  rt.charge(text(self).size() + p.text(0).value_or("").size() * 16);
  return like(self, strip(text(self), kSide, p.text(0)));
}

template <std::string (*kMap)(std::string_view)>
Value map_method(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(text(self).size() * 2);
  return like(self, kMap(text(self)));
}

Value texts(Runtime& rt, const Value& self, const std::vector<std::string_view>& parts) {
  rt.charge(parts.size() * 64);
  std::vector<Value> out;
  for (const std::string_view part : parts) out.push_back(like(self, part));
  return Value::list(std::move(out));
}

template <auto kSplit>
Value split_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("split", a, {"sep", "maxsplit"});
  require(!p.text(0) || !p.text(0)->empty(), "split: the separator is empty");
  require(!p[1] || !p[1]->as_big(), "split: a limit beyond 64 bits");
  rt.charge(text(self).size());
  return texts(rt, self, kSplit(text(self), p.text(0), p.integer(1, -1)));
}

Value splitlines(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("splitlines", a, {"keepends"});
  if (p[0] && !self.is_safe()) p.integer(0, 0);
  rt.charge(text(self).size());
  return texts(rt, self, split_lines(text(self), p.flag(0, false)));
}

template <bool kFirst>
Value partition(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("partition", a, {"sep"}, 1);
  require(a.named.empty(), "partition: takes no named arguments");
  require(p[0]->as_text() && !text(*p[0]).empty(), "partition: the separator must be a string that is not empty");
  rt.charge(text(self).size() * (kFirst ? 1 : std::max<size_t>(text(*p[0]).size() / 16, 1)));
  const std::string_view whole = text(self), separator = text(*p[0]);
  const size_t at = kFirst ? find(whole, separator) : whole.rfind(separator);
  if (at == whole.npos) {
    const Value empty = like(self, "");
    return kFirst ? Value::list({self, empty, empty}, true) : Value::list({empty, empty, self}, true);
  }
  return Value::list(
      {like(self, whole.substr(0, at)), like(self, separator), like(self, whole.substr(at + separator.size()))}, true);
}

/// The bytes of self[start:end], where those arguments are given, and the characters before them.
struct Part {
  std::string_view text;
  int64_t before = 0;
  bool inside = true;  // whether the start lies in the text
};

Part part_of(Runtime& rt, const Value& self, const Parameters& p) {
  const std::string_view whole = text(self);
  rt.charge(whole.size() / 4 + 1);
  const bool all = (!p[1] || p[1]->is_none()) && (!p[2] || p[2]->is_none());
  if (all) return {whole};
  const auto count = static_cast<int64_t>(count_characters(whole));
  const auto bound = [&](size_t i, int64_t otherwise) {
    const int64_t given = p[i] && !p[i]->is_none() ? p.integer(i, 0) : otherwise;
    return given < 0 ? std::max<int64_t>(given + count, 0) : given;
  };
  const int64_t start = bound(1, 0), end = std::min(bound(2, count), count);
  if (start > count || start > end) return {"", start, start <= count && start <= end};
  const size_t first = *byte_offset(whole, static_cast<size_t>(start));
  const size_t last = first + *byte_offset(whole.substr(first), static_cast<size_t>(end - start));
  return {whole.substr(first, last - first), start};
}

/// startswith and endswith: one text or a tuple of them.
template <bool kStart>
Value has_end(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p(kStart ? "startswith" : "endswith", a, {"affix", "start", "end"}, 1);
  require(a.named.empty(), "startswith, endswith: take no named arguments");
  const List* several = p[0]->as_list();
  require(p[0]->as_text() || (several && several->is_tuple()), "startswith, endswith: a string is needed, not {}",
          type_name(*p[0]));
  const Part part = part_of(rt, self, p);
  for (const Value& affix : several ? several->items : std::vector<Value>{*p[0]}) {
    require(affix.as_text() != nullptr, "startswith, endswith: a string is needed, not {}", type_name(affix));
    rt.charge(affix.as_text()->size());
    if (part.inside && (kStart ? part.text.starts_with(text(affix)) : part.text.ends_with(text(affix)))) return true;
  }
  return false;
}

template <bool kStart>
Value remove_affix(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("removeprefix, removesuffix", a, {"affix"}, 1);
  require(a.named.empty(), "removeprefix, removesuffix: take no named arguments");
  require(p[0]->as_text() != nullptr, "removeprefix, removesuffix: a string is needed, not {}", type_name(*p[0]));
  rt.charge(text(self).size());
  std::string_view out = text(self);
  if (kStart && out.starts_with(text(*p[0]))) out.remove_prefix(text(*p[0]).size());
  if (!kStart && out.ends_with(text(*p[0]))) out.remove_suffix(text(*p[0]).size());
  return like(self, out);
}

Value replace_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("replace", a, {"old", "new", "count"}, 2);
  require(a.named.empty(), "replace: takes no named arguments");
  require(!p[2] || !p[2]->as_big(), "replace: a count beyond 64 bits");
  const Value fresh = self.is_safe() ? escaped(rt, *p[1]) : *p[1];
  require(p[0]->as_text() && fresh.as_text(), "replace: two strings are needed");
  const size_t old_size = std::max<size_t>(p.text(0)->size(), 1);
  rt.charge((text(self).size() + 1) * (text(fresh).size() + 1) / old_size + text(self).size());
  return like(self, replace(text(self), *p.text(0), text(fresh), p.integer(2, -1)));
}

Value join_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("join", a, {"iterable"}, 1);
  require(a.named.empty(), "join: takes no named arguments");
  std::string out;
  bool first = true;
  for (const Value& item : iterate(rt, *p[0])) {
    require(item.as_text() || self.is_safe(), "join: strings are needed, not {}", type_name(item));
    const Value part = self.is_safe() ? escaped(rt, item) : item;
    rt.charge(text(self).size() + text(part).size());
    if (!first) out += text(self);
    first = false;
    out += text(part);
  }
  return like(self, out);
}

Value format_method(Runtime& rt, const Value& self, const CallArguments& a) { return format_braces(rt, self, a); }

Value format_map(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("format_map", a, {"mapping"}, 1);
  require(a.named.empty(), "format_map: takes no named arguments");
  CallArguments given;
  if (const Dict* dict = p[0]->as_dict())
    for (const auto& [key, value] : dict->items)
      if (key.as_text()) given.named.emplace_back(text(key), value);
  return format_braces(rt, self, given);
}

/// find, rfind, index and rindex, in characters.
template <bool kLast, bool kMustExist>
Value find_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("find", a, {"sub", "start", "end"}, 1);
  require(a.named.empty(), "find: takes no named arguments");
  require(p[0]->as_text() != nullptr, "find: a string is needed, not {}", type_name(*p[0]));
  const Part part = part_of(rt, self, p);
  rt.charge(part.text.size());
  size_t at = part.inside ? find(part.text, *p.text(0)) : std::string_view::npos;
  if (kLast && part.inside) {
    rt.charge(part.text.size() * std::max<size_t>(p.text(0)->size() / 16, 1));  // the search from behind is a plain one
    at = part.text.rfind(*p.text(0));
  }
  require(at != std::string::npos || !kMustExist, "index: the text is not there");
  if (at == std::string::npos) return int64_t{-1};
  return part.before + static_cast<int64_t>(count_characters(part.text.substr(0, at)));
}

Value count_method(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("count", a, {"sub", "start", "end"}, 1);
  require(a.named.empty() && p[0]->as_text(), "count: a string is needed, not {}", type_name(*p[0]));
  const Part part = part_of(rt, self, p);
  rt.charge(part.text.size());
  if (!part.inside) return int64_t{0};
  if (p.text(0)->empty()) return static_cast<int64_t>(count_characters(part.text)) + 1;
  return static_cast<int64_t>(split(part.text, p.text(0), -1).size()) - 1;
}

/// Whether there are characters (or kEmpty), all of them such.
template <bool (*kIs)(char32_t), bool kEmpty = false>
Value all_are(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(text(self).size());
  for (size_t at = 0; at < text(self).size();)
    if (!kIs(next_character(text(self), at))) return false;
  return kEmpty || !text(self).empty();
}

bool is_ascii(char32_t c) { return c < 0x80; }

/// islower and isupper: cased letters there are, all of them such.
template <bool kUpper>
Value has_case(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("a method", a, {});
  rt.charge(text(self).size());
  return all_cased(text(self), kUpper);
}

/// Whether big letters start words and small ones go on with them.
Value is_title_text(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("istitle", a, {});
  rt.charge(text(self).size());
  bool cased = false, inside = false;
  for (size_t at = 0; at < text(self).size();) {
    const char32_t c = next_character(text(self), at);
    const bool big = is_upper(c) || is_title(c), small = is_lower(c);
    if ((big && inside) || (small && !inside)) return false;
    inside = big || small;
    cased = cased || inside;
  }
  return cased;
}

Value is_identifier(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("isidentifier", a, {});
  rt.charge(text(self).size());
  for (size_t at = 0; at < text(self).size();) {
    const bool start = at == 0;
    const char32_t c = next_character(text(self), at);
    if (!(start ? is_identifier_start(c) : is_identifier_part(c))) return false;
  }
  return !text(self).empty();
}

/// How many characters a text is short of a width: 0 if none, though widths may be any number of 64 bits.
int64_t missing_to(int64_t width, int64_t size) { return width > size ? width - size : 0; }

/// center, ljust, rjust: where the blanks go.
template <char kAlign>
Value padded(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("center, ljust, rjust", a, {"width", "fillchar"}, 1);
  require(a.named.empty(), "center, ljust, rjust: take no named arguments");
  const Value fill = !p[1] ? Value(" ") : self.is_safe() ? escaped(rt, *p[1]) : *p[1];
  require(fill.as_text() && count_characters(text(fill)) == 1, "center, ljust, rjust: the fill must be one character");
  const int64_t width = p.integer(0, 0), missing = missing_to(width, length(rt, self));
  if (missing == 0) return self;
  require(width < (int64_t{1} << 62), "center, ljust, rjust: too wide");
  rt.charge(static_cast<uint64_t>(missing) * text(fill).size());
  const int64_t left = kAlign == '>' ? missing : kAlign == '<' ? 0 : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += text(fill);
  out += text(self);
  for (int64_t i = left; i < missing; ++i) out += text(fill);
  return like(self, out);
}

Value zfill(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("zfill", a, {"width"}, 1);
  require(a.named.empty(), "zfill: takes no named arguments");
  const int64_t missing = missing_to(p.integer(0, 0), length(rt, self));
  if (missing == 0) return self;
  rt.charge(static_cast<uint64_t>(missing));
  const bool sign = !text(self).empty() && (text(self)[0] == '-' || text(self)[0] == '+');
  return like(self,
              text(self).substr(0, sign) + std::string(static_cast<size_t>(missing), '0') + text(self).substr(sign));
}

Value expandtabs(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("expandtabs", a, {"tabsize"});
  const int64_t size = p.integer(0, 8);
  require(size >= INT32_MIN && size <= INT32_MAX, "expandtabs: a size of {}", size);
  std::string out;
  int64_t column = 0;
  for (const char c : text(self)) {
    if (c == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      rt.charge(static_cast<uint64_t>(blanks));
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      out += c;
      column = c == '\n' || c == '\r' ? 0 : column + ((static_cast<uint8_t>(c) & 0xC0) != 0x80);
    }
  }
  rt.charge(out.size());
  return like(self, out);
}

Value translate(Runtime& rt, const Value& self, const CallArguments& a) {
  const Parameters p("translate", a, {"table"}, 1);
  require(a.named.empty(), "translate: takes no named arguments");
  std::string out;
  for (size_t at = 0; at < text(self).size();) {
    rt.charge(16);
    const size_t start = at;
    const auto c = static_cast<int64_t>(next_character(text(self), at));
    const Value* found = p[0]->as_dict() ? p[0]->as_dict()->find(Value(c)) : nullptr;
    if (const List* list = p[0]->as_list(); list && !list->is_view() && c < std::ssize(list->items))
      found = &list->items[static_cast<size_t>(c)];
    const bool has_items = p[0]->as_dict() || p[0]->as_text() || (p[0]->as_list() && !p[0]->as_list()->is_view());
    if (!has_items) refuse_undefined(*p[0]);
    require(has_items, "translate: a mapping is needed, not {}", type_name(*p[0]));
    if (const std::string* letters = p[0]->as_text()) {
      const auto offset = byte_offset(*letters, static_cast<size_t>(c));
      size_t end = offset.value_or(0);
      if (offset && end < letters->size())
        next_character(*letters, end), out += letters->substr(*offset, end - *offset);
      else
        out += text(self).substr(start, at - start);
      continue;
    }
    if (!found)
      out += text(self).substr(start, at - start);
    else if (found->as_text())
      rt.charge(text(*found).size()), out += text(*found);
    else if (!found->is_none()) {
      require(is_integer(*found), "translate: a character becomes a string, a number or none, not {}",
              type_name(*found));
      out += character_text(*found);
    }
  }
  return like(self, out);
}

/// The number of a key of maketrans(): a character's, or its own.
Value code_of_key(const Value& key) {
  if (is_integer(key)) return key;
  require(key.as_text(), "maketrans: keys are strings or integers, not {}", type_name(key));
  size_t at = 0;
  require(!text(key).empty(), "maketrans: a key is a string of one character");
  const auto code = static_cast<int64_t>(next_character(text(key), at));
  require(at == text(key).size(), "maketrans: a key is a string of one character");
  return Value(code);
}

/// Tables for translate(). Python's is a static method: `self` does not matter.
Value maketrans(Runtime& rt, const Value&, const CallArguments& a) {
  const Parameters p("maketrans", a, {"x", "y", "z"}, 1);
  require(a.named.empty(), "maketrans: takes no named arguments");
  Dict out;
  if (!p[1]) {
    refuse_undefined(*p[0]);
    require(p[0]->as_dict(), "maketrans: one argument must be a dict, not {}", type_name(*p[0]));
    for (const auto& [key, value] : p[0]->as_dict()->items) rt.charge(16), out.set(code_of_key(key), value);
    return Value::dict(std::move(out));
  }
  for (size_t i = 0; i < 3; ++i)
    if (p[i]) require(p[i]->as_text(), "maketrans: strings are needed, not {}", type_name(*p[i]));
  const auto next = [&](const Value& letters, size_t& at) {
    rt.charge(16);
    return Value(static_cast<int64_t>(next_character(text(letters), at)));
  };
  size_t from = 0, to = 0, gone = 0;
  while (from < text(*p[0]).size() && to < text(*p[1]).size()) {
    const Value key = next(*p[0], from);
    out.set(key, next(*p[1], to));
  }
  require(from == text(*p[0]).size() && to == text(*p[1]).size(), "maketrans: the two strings must be equally long");
  while (p[2] && gone < text(*p[2]).size()) out.set(next(*p[2], gone), Value(None{}));
  return Value::dict(std::move(out));
}

}  // namespace

bool all_cased(std::string_view text, bool upper) {
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    if (is_title(c) || (upper ? is_lower(c) : is_upper(c))) return false;
    found = found || (upper ? is_upper(c) : is_lower(c));
  }
  return found;
}

const MethodTable& text_methods() {
  static const MethodTable table = {{"capitalize", map_method<capitalize>},
                                    {"casefold", map_method<casefold>},
                                    {"center", padded<'^'>},
                                    {"count", count_method},
                                    {"endswith", has_end<false>},
                                    {"expandtabs", expandtabs},
                                    {"find", find_method<false, false>},
                                    {"format", format_method},
                                    {"format_map", format_map},
                                    {"index", find_method<false, true>},
                                    {"isalnum", all_are<is_alnum>},
                                    {"isalpha", all_are<is_alpha>},
                                    {"isascii", all_are<is_ascii, true>},
                                    {"isdecimal", all_are<is_decimal>},
                                    {"isdigit", all_are<is_digit>},
                                    {"isidentifier", is_identifier},
                                    {"islower", has_case<false>},
                                    {"isnumeric", all_are<is_numeric>},
                                    {"isprintable", all_are<is_printable, true>},
                                    {"isspace", all_are<is_space>},
                                    {"istitle", is_title_text},
                                    {"isupper", has_case<true>},
                                    {"join", join_method},
                                    {"ljust", padded<'<'>},
                                    {"lower", map_method<lower>},
                                    {"lstrip", strip_method<Side::Left>},
                                    {"maketrans", maketrans},
                                    {"partition", partition<true>},
                                    {"removeprefix", remove_affix<true>},
                                    {"removesuffix", remove_affix<false>},
                                    {"replace", replace_method},
                                    {"rfind", find_method<true, false>},
                                    {"rindex", find_method<true, true>},
                                    {"rjust", padded<'>'>},
                                    {"rpartition", partition<false>},
                                    {"rsplit", split_method<split_right>},
                                    {"rstrip", strip_method<Side::Right>},
                                    {"split", split_method<split>},
                                    {"splitlines", splitlines},
                                    {"startswith", has_end<true>},
                                    {"strip", strip_method<Side::Both>},
                                    {"swapcase", map_method<swapcase>},
                                    {"title", map_method<title>},
                                    {"translate", translate},
                                    {"upper", map_method<upper>},
                                    {"zfill", zfill}};
  return table;
}

}  // namespace ingrain::jinja
