// Filters for HTML and addresses. A text that is safe escapes what it is joined with.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

Value filter_escape(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("escape", a, {});
  return escaped(rt, x);
}

Value filter_forceescape(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("forceescape", a, {});
  return escaped(rt, Value(text_of(rt, x)));
}

Value filter_safe(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("safe", a, {});
  return Value(text_of(rt, x), true);
}

Value filter_striptags(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("striptags", a, {});
  return call_method(rt, Value(text_of(rt, x), true), "striptags", {});
}

std::string quoted_address(std::string_view text, bool query) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '.' || c == '-' || c == '~' || (c == '/' && !query);
    out += plain ? std::string(1, c) : query && c == ' ' ? "+" : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

Value filter_urlencode(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("urlencode", a, {});
  if (x.as_text() || !is_iterable(x)) {
    const std::string text = text_of(rt, x);
    rt.charge(text.size() * 3);
    return Value(quoted_address(text, false));
  }
  std::string out;
  const Value pairs = x.as_dict() ? call_method(rt, x, "items", {}) : x;
  bool first = true;
  for (const Value& pair : iterate(rt, pairs)) {
    const auto parts = iterate(rt, pair);
    require(parts.size() == 2, "urlencode: pairs are needed");
    const std::string key = text_of(rt, parts[0]), value = text_of(rt, parts[1]);
    rt.charge((key.size() + value.size()) * 3);
    if (!first) out += '&';
    first = false;
    out += quoted_address(key, true) + "=" + quoted_address(value, true);
  }
  return Value(std::move(out));
}

Value filter_xmlattr(Runtime& rt, const Value& x, const CallArguments& a) {
  const Parameters p("xmlattr", a, {"autospace"});
  refuse_undefined(x);
  require(x.as_dict() != nullptr, "xmlattr: not a dictionary but {}", type_name(x));
  std::string out;
  for (const auto& [key, value] : x.as_dict()->items) {
    if (value.is_none() || value.is_undefined()) continue;
    require(key.as_text() != nullptr, "xmlattr: a name must be a string, not {}", type_name(key));
    require(key.as_text()->find_first_of(std::string_view(" \t\n\r\f\v/>=")) == std::string::npos,
            "xmlattr: an invalid character in a name");
    if (!out.empty()) out += ' ';
    out += *escaped(rt, key).as_text() + "=\"" + *escaped(rt, value).as_text() + "\"";
  }
  if (p.flag(0, true) && !out.empty()) out = " " + out;
  return Value(std::move(out), rt.autoescape);
}

}  // namespace

const FilterTable& markup_filters() {
  static const FilterTable table = {
      {"e", filter_escape},       {"escape", filter_escape},       {"forceescape", filter_forceescape},
      {"safe", filter_safe},      {"striptags", filter_striptags}, {"urlencode", filter_urlencode},
      {"xmlattr", filter_xmlattr}};
  return table;
}

}  // namespace ingrain::jinja
