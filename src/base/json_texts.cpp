#include "base/json_texts.h"

#include "base/utf8.h"

#include <algorithm>

namespace ingrain {
namespace {

constexpr std::string_view kMark = "\x01", kMarkEscaped = "\\u0001";  // no value that begins so is left in

/// The quote that ends the string whose bytes begin at `begin`; npos: none does.
size_t closing_quote(std::string_view json, size_t begin) {
  for (size_t at = json.find('"', begin); at != json.npos; at = json.find('"', at + 1)) {
    size_t backslashes = 0;
    while (at - backslashes > begin && json[at - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return at;
  }
  return json.npos;
}

bool is_key(std::string_view json, size_t after) {
  const size_t next = json.find_first_not_of(" \t\r\n", after);
  return next != json.npos && json[next] == ':';
}

/// The four digits of \uXXXX at `at`; -1: there are none.
int32_t code_unit(std::string_view escaped, size_t at) {
  if (at + 4 > escaped.size()) return -1;
  int32_t out = 0;
  for (const char c : escaped.substr(at, 4)) {
    const int digit = hex_digit(c);
    if (digit < 0) return -1;
    out = out * 16 + digit;
  }
  return out;
}

/// Appends what the escape after the backslash at `at` says, and sets `at` behind it. False if it is none.
bool unescape_one(std::string_view escaped, size_t& at, std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  const char name = at + 1 < escaped.size() ? escaped[at + 1] : '\0';
  at += 2;
  if (const size_t i = name == '\0' ? kNames.npos : kNames.find(name); i != kNames.npos) {
    out += kMeanings[i];
    return true;
  }
  const int32_t unit = name == 'u' ? code_unit(escaped, at) : -1;
  at += 4;
  if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
  if (unit < 0xD800 || unit > 0xDBFF) {
    utf8_append(out, static_cast<char32_t>(unit));
    return true;
  }
  const bool pair = at < escaped.size() && escaped.substr(at).starts_with("\\u");
  const int32_t low = pair ? code_unit(escaped, at + 2) : -1;
  at += 6;
  if (low < 0xDC00 || low > 0xDFFF) return false;
  utf8_append(out, static_cast<char32_t>(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
  return true;
}

bool has_control(std::string_view text) {
  bool out = false;
  for (const char c : text) out |= static_cast<unsigned char>(c) < 0x20;
  return out;
}

/// What a string says; nothing if it is none of JSON's.
std::optional<std::string> unescaped(std::string_view escaped) {
  std::string out;
  out.reserve(escaped.size());
  for (size_t at = 0; at < escaped.size();) {
    const size_t end = std::min(escaped.find('\\', at), escaped.size());
    const std::string_view plain = escaped.substr(at, end - at);
    if (has_control(plain)) return std::nullopt;
    out += plain;
    at = end;
    if (at < escaped.size() && !unescape_one(escaped, at, out)) return std::nullopt;
  }
  if (!is_utf8(out)) return std::nullopt;
  return out;
}

}  // namespace

std::optional<CutTexts> cut_long_texts(std::string_view json, size_t least) {
  if (json.size() < least) return std::nullopt;
  CutTexts out;
  size_t done = 0;
  for (size_t open = json.find('"'); open != json.npos;) {
    const size_t begin = open + 1, close = closing_quote(json, begin);
    if (close == json.npos) return std::nullopt;
    const std::string_view escaped = json.substr(begin, close - begin);
    if (escaped.starts_with(kMarkEscaped)) return std::nullopt;
    if (escaped.size() >= least && !is_key(json, close + 1)) {
      auto text = unescaped(escaped);
      if (!text) return std::nullopt;
      out.json.append(json, done, begin - done).append(kMarkEscaped).append(std::to_string(out.texts.size()));
      out.texts.push_back(std::move(*text));
      done = close;
    }
    open = json.find('"', close + 1);
  }
  if (out.texts.empty()) return std::nullopt;
  out.json.append(json, done);
  return out;
}

void put_back(nlohmann::ordered_json& value, CutTexts& cut) {
  if (value.is_structured()) {
    for (auto& inner : value) put_back(inner, cut);
  } else if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    if (text.starts_with(kMark)) text = std::move(cut.texts.at(std::stoul(text.substr(kMark.size()))));
  }
}

nlohmann::ordered_json parse_own_json(std::string_view text) {
  auto cut = cut_long_texts(text);
  if (!cut) return nlohmann::ordered_json::parse(text);
  auto out = nlohmann::ordered_json::parse(cut->json);
  put_back(out, *cut);
  return out;
}

}  // namespace ingrain
