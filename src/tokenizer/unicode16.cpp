#include "tokenizer/unicode16.h"

#include <algorithm>
#include <bitset>
#include <cstdint>

#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

// The stand-ins, by UTF-8 length: characters of Unicode 13 or older, of the category that the name says.
struct StandIn {
  char32_t three_bytes, four_bytes;
};
constexpr StandIn lu{0x1E00, 0x10400}, ll{0x1E01, 0x10428}, lm{0x1D2C, 0x16B40}, lo{0x0E01, 0x10280},
    lo_han{0x4E00, 0x20000}, mn{0x0900, 0x10A01}, mc{0x0903, 0x11000}, nd{0x0966, 0x104A0}, no{0x2460, 0x10107},
    pd{0x2010, 0x10EAD}, po{0x1C7E, 0x10100}, sm{0x2200, 0x1D6C1}, so{0x2400, 0x1D000}, cf{0x200B, 0x110BD};

struct StandInRange {
  char32_t first, last;
  StandIn stand_in;
};

// Characters whose general category in Unicode 16 differs from that in Unicode 14, sorted; and U+180E.
constexpr StandInRange ranges[] = {
    {0x0897, 0x0897, mn},   {0x0CF3, 0x0CF3, mc},       {0x0ECE, 0x0ECE, mn},       {0x180E, 0x180E, cf},
    {0x1B4E, 0x1B4F, po},   {0x1B7F, 0x1B7F, po},       {0x1C89, 0x1C89, lu},       {0x1C8A, 0x1C8A, ll},
    {0x2427, 0x2429, so},   {0x2FFC, 0x2FFF, so},       {0x31E4, 0x31E5, so},       {0x31EF, 0x31EF, so},
    {0xA7CB, 0xA7CC, lu},   {0xA7CD, 0xA7CD, ll},       {0xA7DA, 0xA7DA, lu},       {0xA7DB, 0xA7DB, ll},
    {0xA7DC, 0xA7DC, lu},   {0x105C0, 0x105F3, lo},     {0x10D40, 0x10D49, nd},     {0x10D4A, 0x10D4D, lo},
    {0x10D4E, 0x10D4E, lm}, {0x10D4F, 0x10D4F, lo},     {0x10D50, 0x10D65, lu},     {0x10D69, 0x10D6D, mn},
    {0x10D6E, 0x10D6E, pd}, {0x10D6F, 0x10D6F, lm},     {0x10D70, 0x10D85, ll},     {0x10D8E, 0x10D8F, sm},
    {0x10EC2, 0x10EC4, lo}, {0x10EFC, 0x10EFF, mn},     {0x1123F, 0x11240, lo},     {0x11241, 0x11241, mn},
    {0x11380, 0x11389, lo}, {0x1138B, 0x1138B, lo},     {0x1138E, 0x1138E, lo},     {0x11390, 0x113B5, lo},
    {0x113B7, 0x113B7, lo}, {0x113B8, 0x113BA, mc},     {0x113BB, 0x113C0, mn},     {0x113C2, 0x113C2, mc},
    {0x113C5, 0x113C5, mc}, {0x113C7, 0x113CA, mc},     {0x113CC, 0x113CD, mc},     {0x113CE, 0x113CE, mn},
    {0x113CF, 0x113CF, mc}, {0x113D0, 0x113D0, mn},     {0x113D1, 0x113D1, lo},     {0x113D2, 0x113D2, mn},
    {0x113D3, 0x113D3, lo}, {0x113D4, 0x113D5, po},     {0x113D7, 0x113D8, po},     {0x113E1, 0x113E2, mn},
    {0x116D0, 0x116E3, nd}, {0x1171E, 0x1171E, mc},     {0x11B00, 0x11B09, po},     {0x11BC0, 0x11BE0, lo},
    {0x11BE1, 0x11BE1, po}, {0x11BF0, 0x11BF9, nd},     {0x11F00, 0x11F01, mn},     {0x11F02, 0x11F02, lo},
    {0x11F03, 0x11F03, mc}, {0x11F04, 0x11F10, lo},     {0x11F12, 0x11F33, lo},     {0x11F34, 0x11F35, mc},
    {0x11F36, 0x11F3A, mn}, {0x11F3E, 0x11F3F, mc},     {0x11F40, 0x11F40, mn},     {0x11F41, 0x11F41, mc},
    {0x11F42, 0x11F42, mn}, {0x11F43, 0x11F4F, po},     {0x11F50, 0x11F59, nd},     {0x11F5A, 0x11F5A, mn},
    {0x1342F, 0x1342F, lo}, {0x13439, 0x1343F, cf},     {0x13440, 0x13440, mn},     {0x13441, 0x13446, lo},
    {0x13447, 0x13455, mn}, {0x13460, 0x143FA, lo},     {0x16100, 0x1611D, lo},     {0x1611E, 0x16129, mn},
    {0x1612A, 0x1612C, mc}, {0x1612D, 0x1612F, mn},     {0x16130, 0x16139, nd},     {0x16D40, 0x16D42, lm},
    {0x16D43, 0x16D6A, lo}, {0x16D6B, 0x16D6C, lm},     {0x16D6D, 0x16D6F, po},     {0x16D70, 0x16D79, nd},
    {0x18CFF, 0x18CFF, lo}, {0x1B132, 0x1B132, lo},     {0x1B155, 0x1B155, lo},     {0x1CC00, 0x1CCEF, so},
    {0x1CCF0, 0x1CCF9, nd}, {0x1CD00, 0x1CEB3, so},     {0x1D2C0, 0x1D2D3, no},     {0x1DF25, 0x1DF2A, ll},
    {0x1E030, 0x1E06D, lm}, {0x1E08F, 0x1E08F, mn},     {0x1E4D0, 0x1E4EA, lo},     {0x1E4EB, 0x1E4EB, lm},
    {0x1E4EC, 0x1E4EF, mn}, {0x1E4F0, 0x1E4F9, nd},     {0x1E5D0, 0x1E5ED, lo},     {0x1E5EE, 0x1E5EF, mn},
    {0x1E5F0, 0x1E5F0, lo}, {0x1E5F1, 0x1E5FA, nd},     {0x1E5FF, 0x1E5FF, po},     {0x1F6DC, 0x1F6DC, so},
    {0x1F774, 0x1F776, so}, {0x1F77B, 0x1F77F, so},     {0x1F7D9, 0x1F7D9, so},     {0x1F8B2, 0x1F8BB, so},
    {0x1F8C0, 0x1F8C1, so}, {0x1FA75, 0x1FA77, so},     {0x1FA87, 0x1FA89, so},     {0x1FA8F, 0x1FA8F, so},
    {0x1FAAD, 0x1FAAF, so}, {0x1FABB, 0x1FABF, so},     {0x1FAC6, 0x1FAC6, so},     {0x1FACE, 0x1FACF, so},
    {0x1FADA, 0x1FADC, so}, {0x1FADF, 0x1FADF, so},     {0x1FAE8, 0x1FAE9, so},     {0x1FAF7, 0x1FAF8, so},
    {0x1FBCB, 0x1FBEF, so}, {0x2B739, 0x2B739, lo_han}, {0x2EBF0, 0x2EE5D, lo_han}, {0x31350, 0x323AF, lo_han},
};

using Pages = std::bitset<0x1100>;  // which blocks of 256 characters hold any of them

const Pages& pages() {
  static const Pages instance = [] {
    Pages out;
    for (const StandInRange& range : ranges)
      for (char32_t page = range.first >> 8; page <= range.last >> 8; ++page) out.set(page);
    return out;
  }();
  return instance;
}

const StandIn* find(char32_t c) {
  if (!pages()[c >> 8]) return nullptr;
  const auto after = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                      [](char32_t value, const StandInRange& range) { return value < range.first; });
  if (after == std::begin(ranges) || c > std::prev(after)->last) return nullptr;
  return &std::prev(after)->stand_in;
}

}  // namespace

std::optional<std::string> with_stand_ins(std::string_view text) {
  std::optional<std::string> out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0xE0) {  // one or two bytes: known to Unicode 14
      ++i;
      continue;
    }
    const size_t length = lead < 0xF0 ? 3 : 4;
    if (const StandIn* stand_in = find(utf8_decode(text, i))) {
      if (!out) out.emplace(text);
      std::string replacement;
      utf8_append(replacement, length == 3 ? stand_in->three_bytes : stand_in->four_bytes);
      out->replace(i, length, replacement);
    }
    i += length;
  }
  return out;
}

}  // namespace ingrain::tokenizer
