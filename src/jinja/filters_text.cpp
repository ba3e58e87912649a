// Filters that give texts and numbers.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <charconv>
#include <cmath>

namespace ingrain::jinja {
namespace {

Value filter_upper(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("upper", a, {});
  return Value(upper(text_of(rt, x)));
}

Value filter_lower(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("lower", a, {});
  return Value(lower(text_of(rt, x)));
}

Value filter_capitalize(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("capitalize", a, {});
  return Value(capitalize(text_of(rt, x)));
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
  return Value(strip(text, Side::Both, p.text(0)));
}

Value filter_string(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("string", a, {});
  return Value(text_of(rt, x));
}

Value filter_replace(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("replace", a, {"old", "new", "count"}, 2);
  const std::string text = text_of(rt, x), old = text_of(rt, *p[0]), replacement = text_of(rt, *p[1]);
  rt.charge((text.size() + 1) * (replacement.size() + 1) / std::max<size_t>(old.size(), 1));
  return Value(replace(text, old, replacement, p[2] && p[2]->is_none() ? -1 : p.integer(2, -1)));
}

Value filter_indent(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("indent", a, {"width", "first", "blank"});
  const bool wide = p[0] && p[0]->as_text();
  const int64_t width = wide ? 0 : p.integer(0, 4);
  require(width <= 1000, "indent: a width of {}", width);
  const std::string indent =
      wide ? *p[0]->as_text() : std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  refuse_undefined(x);
  require(x.as_text() != nullptr, "indent: not a string but {}", type_name(x));
  const std::string text = text_of(rt, x) + '\n';
  const auto lines = split_lines(text);
  rt.charge(lines.size() * indent.size());
  std::string out = p.flag(1, false) ? indent : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (p.flag(2, false) || !lines[i].empty())) out += indent;
    out += lines[i];
  }
  return Value(std::move(out));
}

Value filter_tojson(Runtime& rt, const Value& x, const CallArguments& a) { return Value(to_json(rt, a, x)); }

Value filter_format(Runtime& rt, const Value& x, const CallArguments& a) {
  require(a.named.empty(), "format: named arguments are not supported");
  return Value(format_percent(rt, text_of(rt, x), a.positional));
}

/// float(text), or nothing. Underscores and words other than inf and nan are not understood.
std::optional<double> parse_float(std::string_view text) {
  text = strip(text, Side::Both);
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end != text.data() + text.size() || text.empty() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return out;
}

std::optional<int64_t> parse_integer(std::string_view text, int base) {
  text = strip(text, Side::Both);
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const std::string prefix = lower(text.substr(0, 2));
  if ((base == 16 && prefix == "0x") || (base == 8 && prefix == "0o") || (base == 2 && prefix == "0b"))
    text.remove_prefix(2);
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (error == std::errc::result_out_of_range || (error == std::errc() && magnitude > INT64_MAX))
    fail("int: the number exceeds 64 bits");
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return negative ? -static_cast<int64_t>(magnitude) : static_cast<int64_t>(magnitude);
}

std::optional<int64_t> truncated(std::optional<double> number) {
  if (!number || std::isnan(*number) || std::isinf(*number)) return std::nullopt;
  require(std::abs(*number) < 9.2e18, "int: the number exceeds 64 bits");
  return static_cast<int64_t>(*number);
}

Value filter_int(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("int", a, {"default", "base"});
  const int64_t base = p.integer(1, 10);
  require(base >= 2 && base <= 36, "int: base {}", base);
  refuse_undefined(x);
  std::optional<int64_t> out = integer_of(x);
  if (const double* d = x.as_double()) out = truncated(*d);
  if (const std::string* text = x.as_text()) {
    rt.charge(text->size());
    out = parse_integer(*text, static_cast<int>(base));
    if (!out) out = truncated(parse_float(*text));
  }
  if (out) return *out;
  return p[0] ? *p[0] : Value(int64_t{0});
}

Value filter_float(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("float", a, {"default"});
  refuse_undefined(x);
  if (const double* d = x.as_double()) return *d;
  if (const auto i = integer_of(x)) return static_cast<double>(*i);
  if (const std::string* text = x.as_text()) {
    rt.charge(text->size());
    if (const auto number = parse_float(*text)) return *number;
  }
  return p[0] ? *p[0] : Value(0.0);
}

Value filter_abs(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("abs", a, {});
  if (const double* d = x.as_double()) return std::abs(*d);
  refuse_undefined(x);
  const auto i = integer_of(x);
  require(i.has_value(), "abs: not a number but {}", type_name(x));
  rt.charge(1);
  return *i < 0 ? negative(*i) : Value(*i);
}

Value filter_round(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("round", a, {"precision", "method"});
  rt.charge(64);
  const int64_t precision = p.integer(0, 0);
  const std::string_view method = p.text(1).value_or("common");
  require(method == "common" || method == "ceil" || method == "floor", "round: method '{}'", method);
  require(precision >= 0 && precision <= 15, "round: a precision of {}", precision);
  refuse_undefined(x);
  require(x.is_number(), "round: not a number but {}", type_name(x));
  const auto whole = integer_of(x);
  if (whole && method == "common") return *whole;
  const double value = whole ? static_cast<double>(*whole) : *x.as_double();
  if (method != "common") {
    const double scale = std::pow(10.0, static_cast<double>(precision));
    return (method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) / scale;
  }
  // printf rounds the exact binary value, half to even, as Python does.
  return std::isfinite(value) ? Value(std::stod(fmt::format("{:.{}f}", value, precision))) : x;
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
  static const FilterTable table = {{"abs", filter_abs},       {"capitalize", filter_capitalize},
                                    {"d", filter_default},     {"default", filter_default},
                                    {"float", filter_float},   {"format", filter_format},
                                    {"indent", filter_indent}, {"int", filter_int},
                                    {"lower", filter_lower},   {"replace", filter_replace},
                                    {"round", filter_round},   {"safe", filter_string},
                                    {"string", filter_string}, {"title", filter_title},
                                    {"tojson", filter_tojson}, {"trim", filter_trim},
                                    {"upper", filter_upper}};
  return table;
}

}  // namespace ingrain::jinja
