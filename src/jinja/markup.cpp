// HTML in texts, and the methods of safe texts.
#include "jinja/markup.h"

#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

struct Entity {
  std::string_view name;
  char32_t character;
};
#include "jinja/html_entities.inc"

std::optional<char32_t> named(std::string_view name) {
  const auto found =
      std::lower_bound(std::begin(kEntities), std::end(kEntities), name,
                       [](const Entity& entity, std::string_view wanted) { return entity.name < wanted; });
  return found != std::end(kEntities) && found->name == name ? std::optional(found->character) : std::nullopt;
}

/// Appends what "&#..." at the start of `text` stands for; the length of the reference, or 0.
size_t append_number(std::string& out, std::string_view text) {
  size_t at = 2;
  const bool hexadecimal = at < text.size() && (text[at] | 32) == 'x';
  at += hexadecimal;
  const std::string_view digits = hexadecimal ? "0123456789abcdefABCDEF" : "0123456789";
  const size_t end = std::min(text.find_first_not_of(digits, at), text.size());
  if (end == at) return 0;
  uint64_t code = 0;
  for (; at < end; ++at) {
    const char c = text[at];
    code = code * (hexadecimal ? 16 : 10) + static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    code = std::min<uint64_t>(code, 0x110000);
  }
  const bool no_character = code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000);
  append_character(out, no_character ? 0xFFFD : static_cast<char32_t>(code));
  return end + (end < text.size() && text[end] == ';');
}

size_t append_reference(std::string& out, std::string_view text) {
  if (text.size() > 1 && text[1] == '#') return append_number(out, text);
  const size_t end = std::min(text.find_first_of("\t\n\f <&#;", 1), text.size());
  if (end >= text.size() || text[end] != ';' || end > 33) return 0;
  const auto character = named(text.substr(1, end - 1));
  if (!character) return 0;
  append_character(out, *character);
  return end + 1;
}

}  // namespace

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = text[at] == '&' ? append_reference(out, text.substr(at, 80)) : 0;
    if (length == 0) out += text[at];
    at += std::max<size_t>(length, 1);
  }
  return out;
}

std::string without_tags(std::string_view text) {
  std::string kept;
  size_t at = 0;
  for (size_t start = text.find('<'); start != text.npos; start = text.find('<', at)) {
    const bool comment = text.substr(start).starts_with("<!--");
    const size_t end = comment ? find(text, "-->", start + 4) : text.find('>', start);
    if (end == text.npos) break;
    kept += text.substr(at, start - at);
    at = end + (comment ? 3 : 1);
  }
  kept += text.substr(at);
  std::string out;
  for (const std::string_view word : split(kept, std::nullopt, -1)) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

namespace {

const std::string& text_in(const Value& self) { return *self.as_text(); }

Value unescape_method(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("unescape", a, {});
  rt.charge(text_in(self).size());
  return Value(unescape(text_in(self)));
}

Value escape_method(Runtime& rt, const Value&, const CallArguments& a) {
  const Parameters p("escape", a, {"s"}, 1);
  return escaped(rt, *p[0]);
}

Value striptags(Runtime& rt, const Value& self, const CallArguments& a) {
  Parameters("striptags", a, {});
  rt.charge(text_in(self).size() * 4);
  return Value(unescape(without_tags(text_in(self))));
}

}  // namespace

const MethodTable& safe_text_methods() {
  static const MethodTable table = {{"escape", escape_method}, {"striptags", striptags}, {"unescape", unescape_method}};
  return table;
}

}  // namespace ingrain::jinja
