#include "base/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

namespace ingrain {
namespace {

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

}  // namespace

Utf8Step utf8_step(std::string_view text, size_t position) {
  const Utf8Lead lead = utf8_lead(byte_at(text, position));
  if (lead.length <= 1) return {lead.length == 1 ? Utf8::valid : Utf8::invalid, 1};
  for (uint32_t i = 1; i < lead.length; ++i) {
    if (position + i >= text.size()) return {Utf8::truncated, i};
    const uint8_t byte = byte_at(text, position + i);
    const uint8_t low = i == 1 ? lead.second_low : 0x80, high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {Utf8::invalid, i};
  }
  return {Utf8::valid, lead.length};
}

char32_t utf8_decode(std::string_view text, size_t position) {
  const uint8_t first = byte_at(text, position);
  if (first < 0x80) return first;
  const int length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t character = first & (0xFF >> (length + 1));
  for (int i = 1; i < length; ++i) character = character << 6 | (byte_at(text, position + i) & 0x3F);
  return character;
}

void utf8_append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  const int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  out += static_cast<char>((0xF00 >> length & 0xFF) | c >> 6 * (length - 1));
  for (int i = length - 2; i >= 0; --i) out += static_cast<char>(0x80 | (c >> 6 * i & 0x3F));
}

size_t utf8_begin(std::string_view text, size_t at, size_t least) {
  while (at > least && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

size_t valid_utf8_length(std::string_view text, size_t position) {
  constexpr uint64_t high_bits = 0x8080808080808080u;
  size_t i = position;
  while (i < text.size()) {
    uint64_t block;
    if (i + 8 <= text.size() && (std::memcpy(&block, text.data() + i, 8), (block & high_bits) == 0)) {
      i += 8;
      continue;
    }
    const Utf8Step step = utf8_step(text, i);
    if (step.kind != Utf8::valid) break;
    i += step.length;
  }
  return i - position;
}

size_t count_utf8(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string utf8_lossy(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    if (const size_t valid = valid_utf8_length(bytes, i)) {
      out.append(bytes, i, valid);
      i += valid;
      continue;
    }
    out += "\xEF\xBF\xBD";
    i += utf8_step(bytes, i).length;
  }
  return out;
}

bool is_white_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word_character(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default:  // joiners; circled and squared Latin letters are alphabetic symbols
      return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
             (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  }
}

std::string in_ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = ascii_lower(c);
  return out;
}

std::string in_ascii_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = ascii_upper(c);
  return out;
}

}  // namespace ingrain
