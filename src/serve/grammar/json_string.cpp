#include "serve/grammar/json_string.h"

#include "base/utf8.h"

#include <string>

namespace ingrain::serve {
namespace {

uint64_t hash_byte(uint64_t hash, uint8_t byte) { return (hash ^ byte) * 0x100000001b3; }

bool is_high_surrogate(uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }

}  // namespace

uint64_t JsonString::hash_of(std::string_view text) {
  uint64_t hash = kEmptyHash;
  for (const char byte : text) hash = hash_byte(hash, static_cast<uint8_t>(byte));
  return hash;
}

void JsonString::add_character(uint32_t code_point) {
  std::string utf8;
  utf8_append(utf8, static_cast<char32_t>(code_point));
  for (const char byte : utf8) hash = hash_byte(hash, static_cast<uint8_t>(byte));
  ++characters;
  phase = Phase::text;
}

JsonString::Step JsonString::text_byte(uint8_t byte) {
  if (byte == '"') return Step::end;
  if (byte == '\\') {
    phase = Phase::escape;
    return Step::on;
  }
  if (byte < 0x20) return Step::no;
  hash = hash_byte(hash, byte);
  if (byte < 0x80) {
    ++characters;
    return Step::on;
  }
  const Utf8Lead lead = utf8_lead(byte);
  if (lead.length == 0) return Step::no;
  phase = Phase::bytes;
  left = static_cast<uint8_t>(lead.length - 1);
  low = lead.second_low, high = lead.second_high;
  return Step::on;
}

JsonString::Step JsonString::hex_digit(uint8_t byte) {
  const int digit = ingrain::hex_digit(static_cast<char>(byte));
  if (digit < 0) return Step::no;
  const bool is_low = phase == Phase::low_hex;
  if (is_low && left == 4 && digit != 0xD) return Step::no;
  if (left == 3 && (unit & 0xF) == 0xD && (digit >= 0xC) != is_low) return Step::no;  // a half alone, or none second
  unit = unit << 4 | static_cast<uint32_t>(digit);
  if (--left > 0) return Step::on;
  return Step::end;
}

JsonString::Step JsonString::step(uint8_t byte) {
  switch (phase) {
    case Phase::text: return text_byte(byte);
    case Phase::bytes:
      if (byte < low || byte > high) return Step::no;
      hash = hash_byte(hash, byte);
      low = 0x80, high = 0xBF;
      if (--left == 0) {
        phase = Phase::text;
        ++characters;
      }
      return Step::on;
    case Phase::escape: {
      if (byte == 'u') {
        phase = Phase::hex;
        unit = 0;
        left = 4;
        return Step::on;
      }
      constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
      const size_t at = kLetters.find(static_cast<char>(byte));
      if (at == kLetters.npos) return Step::no;
      add_character(static_cast<uint8_t>(kMeanings[at]));
      return Step::on;
    }
    case Phase::hex:
      if (hex_digit(byte) == Step::no) return Step::no;
      if (left > 0) return Step::on;
      if (is_high_surrogate(unit))
        phase = Phase::low_backslash;
      else
        add_character(unit);
      return Step::on;
    case Phase::low_backslash:
      if (byte != '\\') return Step::no;
      phase = Phase::low_u;
      return Step::on;
    case Phase::low_u:
      if (byte != 'u') return Step::no;
      phase = Phase::low_hex;
      left = 4;
      return Step::on;
    case Phase::low_hex:
      if (hex_digit(byte) == Step::no) return Step::no;
      if (left == 0) add_character(0x10000 + (((unit >> 16) - 0xD800) << 10) + ((unit & 0xFFFF) - 0xDC00));
      return Step::on;
  }
  return Step::no;
}

}  // namespace ingrain::serve
