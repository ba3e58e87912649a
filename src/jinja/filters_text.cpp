// Filters that give texts.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

template <std::string (*kMap)(std::string_view)>
Value filter_case(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("upper, lower, capitalize", a, {});
  return Value(kMap(text_of(rt, x)), x.is_safe());
}

/// The first character in upper case, the others in lower case.
std::string title_word(std::string_view word) {
  size_t first = 0;
  if (!word.empty()) next_character(word, first);
  return upper(word.substr(0, first)) + lower(word.substr(first));
}

bool separates_words(char32_t c) { return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<'; }

/// Unlike str.title(), words begin only after white space and - ( { [ <.
Value filter_title(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("title", a, {});
  const std::string text = text_of(rt, x);
  std::string out;
  size_t word = 0;  // where the current one starts
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (!separates_words(next_character(text, at))) continue;
    out += title_word(std::string_view(text).substr(word, start - word));
    out.append(text, start, at - start);
    word = at;
  }
  return Value(out + title_word(std::string_view(text).substr(word)));
}

Value filter_trim(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("trim", a, {"chars"});
  const std::string text = text_of(rt, x);
  rt.charge(p.text(0).value_or("").size() * 16);
  return Value(strip(text, Side::Both, p.text(0)), x.is_safe());
}

Value filter_string(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("string", a, {});
  return soft_text(rt, x);
}

Value filter_replace(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("replace", a, {"old", "new", "count"}, 2);
  const Value count = p[2] && !p[2]->is_none() ? *p[2] : Value(int64_t{-1});
  if (!rt.autoescape)
    return call_method(rt, Value(text_of(rt, x)), "replace",
                       {{Value(text_of(rt, *p[0])), Value(text_of(rt, *p[1])), count}, {}});
  const bool escapes = p[0]->is_safe() || (p[1]->is_safe() && !x.is_safe());
  const Value text = escapes ? escaped(rt, x) : soft_text(rt, x);
  return call_method(rt, text, "replace", {{soft_text(rt, *p[0]), soft_text(rt, *p[1]), count}, {}});
}

/// Plain lines with a safe indention: what is joined to it is escaped, the rest only where it meets a safe text.
Value indent_safely(const std::string& indent, const std::vector<std::string_view>& lines, bool first, bool blank) {
  bool any = blank || first;
  for (size_t i = 1; i < lines.size(); ++i) any = any || !lines[i].empty();
  if (!any) {
    std::string plain(lines[0]);
    for (size_t i = 1; i < lines.size(); ++i) plain += "\n" + std::string(lines[i]);
    return Value(std::move(plain));
  }
  // "\n".join() of plain str gives plain text, which is escaped only by a safe indention before it.
  if (blank) {
    std::string out = first ? indent : "";
    for (size_t i = 0; i < lines.size(); ++i) out += (i > 0 ? "\n" + indent : "") + escape(lines[i]);
    return Value(std::move(out), true);
  }
  std::string joined;
  for (size_t i = 1; i < lines.size(); ++i) {
    joined += i > 1 ? "\n" : "";
    joined += lines[i].empty() ? "" : indent + escape(lines[i]);
  }
  std::string out(lines[0]);
  if (lines.size() > 1) out += "\n" + joined;
  return first ? Value(indent + escape(out), true) : Value(std::move(out));
}

/// What follows a line's end is joined with operators, so that safe texts escape.
Value filter_indent(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("indent", a, {"width", "first", "blank"});
  const bool wide = p[0] && p[0]->as_text();
  const int64_t width = wide ? 0 : p.integer(0, 4);
  require(width <= 100000, "indent: a width of {}", width);
  const bool safe = x.is_safe();
  std::string indent = wide ? *p[0]->as_text() : std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  refuse_undefined(x);
  require(x.as_text() != nullptr, "indent: not a string but {}", type_name(x));
  // A safe indention escapes the lines of a plain text, but no text has both but through its width.
  const bool escapes = wide && p[0]->is_safe() && !safe;
  const std::string text = *x.as_text() + '\n';
  const auto lines = split_lines(text);
  rt.charge(text.size() * (escapes ? 6 : 1) + lines.size() * indent.size());
  const bool first = p.flag(1, false), blank = p.flag(2, false);
  if (escapes) return indent_safely(indent, lines, first, blank);
  std::string out = first ? indent : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += indent;
    out += lines[i];
  }
  return Value(std::move(out), safe);
}

Value filter_tojson(Runtime& rt, const Value& x, const CallArguments& a) { return Value(to_json(rt, a, x)); }

Value filter_format(Runtime& rt, const Value& x, const CallArguments& a) {
  require(a.named.empty() || a.positional.empty(), "format: arguments with and without names cannot be mixed");
  if (a.named.empty()) return format_percent(rt, soft_text(rt, x), Value::list(a.positional, true));
  Dict values;
  for (const auto& [name, value] : a.named) values.set(name, value);
  return format_percent(rt, soft_text(rt, x), Value::dict(std::move(values)));
}

/// Words as textwrap cuts them: runs of white space, words, and the parts of hyphenated ones.
class Wrapper {
 public:
  /// whole: whether the width is an integer to Python, which a word can be cut by.
  Wrapper(double width, bool whole, bool break_words, bool break_hyphens)
      : width_(width), whole_(whole), break_words_(break_words), break_hyphens_(break_hyphens) {}

  std::vector<std::string> wrap(std::string_view line) {
    characters_ = split_characters(line);
    cut();
    std::vector<std::string> lines;
    size_t next = 0;
    while (next < chunks_.size()) {
      if (!lines.empty() && blank(chunks_[next])) ++next;
      std::vector<Chunk> taken;
      size_t length = 0;
      while (next < chunks_.size() && fits(length + size(chunks_[next]))) {
        length += size(chunks_[next]);
        taken.push_back(chunks_[next++]);
      }
      if (next < chunks_.size() && !fits(size(chunks_[next]))) next += take_long(chunks_[next], taken, length);
      if (!taken.empty() && blank(taken.back())) taken.pop_back();
      if (taken.empty()) continue;
      lines.emplace_back();
      for (const Chunk& chunk : taken)
        for (size_t i = chunk.first; i < chunk.second; ++i) lines.back() += characters_[i];
    }
    return lines;
  }

 private:
  using Chunk = std::pair<size_t, size_t>;
  const double width_;
  const bool whole_, break_words_, break_hyphens_;
  std::vector<std::string_view> characters_;
  std::vector<Chunk> chunks_;

  bool fits(size_t length) const { return static_cast<double>(length) <= width_; }
  static size_t size(const Chunk& chunk) { return chunk.second - chunk.first; }
  char32_t at(size_t i) const {
    size_t start = 0;
    return i < characters_.size() ? next_character(characters_[i], start) : 0;
  }
  bool space(size_t i) const { return i < characters_.size() && (at(i) == ' ' || (at(i) >= '\t' && at(i) <= '\r')); }
  bool word(size_t i) const { return i < characters_.size() && (is_alnum(at(i)) || at(i) == '_'); }
  bool letter(size_t i) const { return word(i) && !is_decimal(at(i)); }
  bool dash(size_t i) const { return at(i) == '-'; }
  bool punctuated(size_t i) const {
    return word(i) || (i < characters_.size() && at(i) < 0x80 &&
                       std::string_view("!\"'&.,?").find(static_cast<char>(at(i))) != std::string_view::npos);
  }
  bool blank(const Chunk& chunk) const {
    for (size_t i = chunk.first; i < chunk.second; ++i)
      if (!is_space(at(i))) return false;
    return true;
  }

  /// The end of two or more dashes at `i` after a word's end and before a letter; 0 if there are none.
  size_t dashes(size_t i) const {
    if (i == 0 || !punctuated(i - 1) || !dash(i)) return 0;
    size_t end = i;
    while (dash(end)) ++end;
    return end - i >= 2 && word(end) ? end : 0;
  }

  bool hyphen_breaks(size_t i) const {
    if (!dash(i)) return false;
    const bool before =
        (i >= 2 && letter(i - 2) && letter(i - 1)) || (i >= 3 && letter(i - 3) && dash(i - 2) && punctuated(i - 1));
    return before && letter(i + 1) && (letter(i + 2) || (dash(i + 2) && letter(i + 3)));
  }

  size_t chunk_end(size_t i) const {
    const size_t count = characters_.size();
    if (space(i)) {
      while (space(i)) ++i;
      return i;
    }
    if (break_hyphens_)
      if (const size_t end = dashes(i)) return end;
    for (++i; i < count && !space(i); ++i) {
      if (!break_hyphens_) continue;
      if (hyphen_breaks(i)) return i + 1;
      if (dashes(i)) return i;
    }
    return i;
  }

  void cut() {
    chunks_.clear();
    for (size_t i = 0; i < characters_.size();) {
      const size_t end = chunk_end(i);
      chunks_.emplace_back(i, end);
      i = end;
    }
  }

  /// Takes a part of a word that fits no line; says whether all of it is gone.
  size_t take_long(Chunk& chunk, std::vector<Chunk>& taken, size_t length) {
    if (!break_words_) {
      if (!taken.empty()) return 0;
      taken.push_back(chunk);
      return 1;
    }
    require(whole_ || width_ < 1, "wordwrap: a word is longer than a width that is no integer");
    const size_t left = width_ < 1 ? 1 : static_cast<size_t>(width_) - length;
    size_t end = left;
    if (break_hyphens_)
      for (size_t i = left; i-- > 1;)
        if (dash(chunk.first + i)) {
          bool other = false;
          for (size_t j = 0; j < i && !other; ++j) other = !dash(chunk.first + j);
          if (other) end = i + 1;
          break;
        }
    taken.emplace_back(chunk.first, chunk.first + end);
    chunk.first += end;
    return 0;
  }
};

Value filter_wordwrap(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("wordwrap", a, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  refuse_undefined(x);
  require(x.as_text() != nullptr, "wordwrap: not a string but {}", type_name(x));
  const Value end = p[2] && !p[2]->is_none() ? *p[2] : Value("\n");
  require(end.as_text() != nullptr, "wordwrap: 'wrapstring' must be a string");
  rt.charge(x.as_text()->size() * (64 + end.as_text()->size()));
  std::vector<Value> lines;
  for (const std::string_view line : split_lines(*x.as_text())) {
    const bool whole = !p[0] || !p[0]->as_double();
    const double width = whole ? static_cast<double>(p.integer(0, 79)) : *p[0]->as_double();
    require(width > 0, "wordwrap: a width of {}", width);  // not a NaN either: Python would never end
    Wrapper wrapper(width, whole, p.flag(1, true), p.flag(3, true));
    std::string joined;
    bool first = true;
    for (const std::string& part : wrapper.wrap(line)) {
      if (!first) joined += *end.as_text();
      first = false;
      joined += part;
    }
    lines.emplace_back(std::move(joined), end.is_safe());
  }
  return call_method(rt, end, "join", {{Value::list(std::move(lines))}, {}});
}

Value filter_truncate(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("truncate", a, {"length", "killwords", "end", "leeway"});
  const Value end = p[2] ? *p[2] : Value("...");
  const int64_t limit = p.integer(0, 255), leeway = p[3] && !p[3]->is_none() ? p.integer(3, 5) : 5;
  const int64_t end_length = length(rt, end);
  require(limit >= end_length && leeway >= 0, "truncate: a length of {} and a leeway of {}", limit, leeway);
  const auto size = length_of(rt, x);
  require(size && !x.as_generator(), "truncate: a value of type {} has no length", type_name(x));
  if (limit > INT64_MAX - leeway || *size <= limit + leeway) return x;
  Value head = slice(rt, x, None{}, limit - end_length, None{});
  require(head.as_text() != nullptr, "truncate: not a string but {}", type_name(x));
  if (!p.flag(1, false)) {
    const size_t blank = head.as_text()->rfind(' ');
    if (blank != std::string::npos) head = Value(head.as_text()->substr(0, blank), head.is_safe());
  }
  return arithmetic(rt, "+", head, end);
}

Value filter_center(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("center", a, {"width"});
  return call_method(rt, soft_text(rt, x), "center", {{p[0] ? *p[0] : Value(int64_t{80})}, {}});
}

Value filter_wordcount(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("wordcount", a, {});
  const std::string text = text_of(rt, x);
  int64_t count = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    const bool word = c == '_' || is_alnum(c);
    count += word && !inside;
    inside = word;
  }
  return count;
}

Value filter_attr(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("attr", a, {"name"}, 1);
  require(p[0]->as_text() != nullptr, "attr: the name must be a string, not {}", type_name(*p[0]));
  if (x.is_undefined() && !p[0]->as_text()->starts_with("__")) refuse_undefined(x);
  if (x.is_undefined()) return Value::undefined("what is undefined has no members");
  return attribute(rt, x, *p[0]->as_text());
}

Value filter_default(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("default", a, {"default_value", "boolean"});
  rt.charge(1);
  const bool replaced = x.is_undefined() || (p.flag(1, false) && !truth(x));
  if (!replaced) return x;
  return p[0] ? *p[0] : Value("");
}

}  // namespace

const FilterTable& text_filters() {
  static const FilterTable table = {{"attr", filter_attr},         {"capitalize", filter_case<capitalize>},
                                    {"center", filter_center},     {"d", filter_default},
                                    {"default", filter_default},   {"format", filter_format},
                                    {"indent", filter_indent},     {"lower", filter_case<lower>},
                                    {"replace", filter_replace},   {"string", filter_string},
                                    {"title", filter_title},       {"tojson", filter_tojson},
                                    {"trim", filter_trim},         {"truncate", filter_truncate},
                                    {"upper", filter_case<upper>}, {"wordcount", filter_wordcount},
                                    {"wordwrap", filter_wordwrap}};
  return table;
}

}  // namespace ingrain::jinja
