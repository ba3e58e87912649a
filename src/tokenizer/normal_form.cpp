#include "tokenizer/normal_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

struct Range {
  char32_t first, last;
};

// Characters younger than Unicode 9 that have a combining class or a decomposition, sorted.
constexpr Range kYoung[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
    {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x10781, 0x10785},
    {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
    {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F},
    {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9},
};

bool is_young(char32_t c) {
  const auto after = std::upper_bound(std::begin(kYoung), std::end(kYoung), c,
                                      [](char32_t value, const Range& range) { return value < range.first; });
  return after != std::begin(kYoung) && c <= std::prev(after)->last;
}

int options_of(NormalForm form) {
  const int compose = form == NormalForm::nfc || form == NormalForm::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  const int compatible = form == NormalForm::nfkc || form == NormalForm::nfkd ? UTF8PROC_COMPAT : 0;
  return UTF8PROC_STABLE | compose | compatible;
}

void append_normalized(std::string_view text, NormalForm form, std::string& out) {
  if (text.empty()) return;
  utf8proc_uint8_t* mapped = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(options_of(form)));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  require(length >= 0, "the text cannot be brought into a Unicode normal form: {}", utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  // Below U+0300 nothing combines or is composed further: every such text is already in NFC.
  const auto below_0300 = [](char c) { return static_cast<uint8_t>(c) < 0xCC; };
  if (form == NormalForm::nfc && std::all_of(text.begin(), text.end(), below_0300)) return std::string(text);
  std::string out;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const uint32_t length = utf8_step(text, i).length;
    // To old tables a young character is an unknown one: nothing combines with it or moves across it.
    if (length > 1 && is_young(utf8_decode(text, i))) {
      append_normalized(text.substr(done, i - done), form, out);
      out += text.substr(i, length);
      done = i + length;
    }
    i += length;
  }
  append_normalized(text.substr(done), form, out);
  return out;
}

}  // namespace ingrain::tokenizer
