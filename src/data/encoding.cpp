#include "data/encoding.h"

#include "base/error.h"
#include "base/file_kind.h"

#include <algorithm>
#include <bitset>
#include <cstdint>

namespace ingrain::data {
namespace {

constexpr size_t kLooked = 4096;    // bytes
constexpr size_t kFewestZeros = 4;  // fewer may be anything

struct Mark {
  std::string_view bytes, encoding;
};
// The longer ones first: UTF-32LE's begins as UTF-16LE's.
constexpr Mark kMarks[] = {{std::string_view("\xFF\xFE\0\0", 4), "UTF-32LE"},
                           {std::string_view("\0\0\xFE\xFF", 4), "UTF-32BE"},
                           {"\xFF\xFE", "UTF-16LE"},
                           {"\xFE\xFF", "UTF-16BE"}};

bool is_character_of_text(uint32_t c) {
  const bool space = c == '\t' || c == '\n' || c == '\r' || c == '\f';
  return (c >= 0x20 || space) && c <= 0x10FFFF && (c < 0xD800 || c >= 0xE000);
}

/// UTF-32: every four bytes are a character of texts. (A file of 32 bits an id has small numbers.)
std::string_view four_bytes_each(std::string_view head) {
  constexpr size_t kFewest = 4;  // characters
  const auto all = [&](bool big_end) {
    for (size_t i = 0; i + 4 <= head.size(); i += 4) {
      uint32_t c = 0;
      for (size_t k = 0; k < 4; ++k) c = c << 8 | static_cast<uint8_t>(head[i + (big_end ? k : 3 - k)]);
      if (!is_character_of_text(c)) return false;
    }
    return head.size() >= 4 * kFewest;
  };
  return all(false) ? "UTF-32LE" : all(true) ? "UTF-32BE" : "";
}

/// UTF-16 of an alphabet whose letters have no zero byte: blanks, digits and line ends have one, the other bytes beside
/// the letters' are few, and every two bytes are a character of texts.
std::string_view two_bytes_each(std::string_view head, bool big_end) {
  constexpr size_t kFewest = 32, kMostPages = 8;
  std::bitset<256> pages;
  for (size_t i = 0; i + 2 <= head.size(); i += 2) {
    const auto high = static_cast<uint8_t>(head[i + (big_end ? 0 : 1)]),
               low = static_cast<uint8_t>(head[i + (big_end ? 1 : 0)]);
    const bool half_of_a_pair = high >= 0xD8 && high < 0xE0;
    if (!half_of_a_pair && !is_character_of_text(uint32_t{high} << 8 | low)) return {};
    pages.set(high);
  }
  if (head.size() < 2 * kFewest || pages.count() > kMostPages) return {};
  return big_end ? "UTF-16BE" : "UTF-16LE";
}

}  // namespace

std::string_view wide_encoding(std::string_view text) {
  for (const Mark& mark : kMarks)
    if (text.starts_with(mark.bytes)) return mark.encoding;
  // Without a mark: zeros are every other byte of most letters, and none of the others.
  const std::string_view head = text.substr(0, kLooked);
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < head.size(); ++i) zeros[i % 2] += head[i] == '\0' ? 1 : 0;
  const size_t most = std::max(zeros[0], zeros[1]), least = std::min(zeros[0], zeros[1]);
  if (least > 0) return four_bytes_each(head);
  if (most < kFewestZeros) return {};
  const bool big_end = zeros[0] > 0;
  if (most * 4 < head.size()) return two_bytes_each(head, big_end);
  return big_end ? "UTF-16BE" : "UTF-16LE";
}

std::string not_text(std::string_view head) {
  if (const auto encoding = wide_encoding(head); !encoding.empty())
    return fmt::format("it is {0}, and text is read as UTF-8: convert it (iconv -f {0} -t UTF-8)", encoding);
  const std::string_view kind = kind_of_bytes(head);
  return kind.empty() ? "" : fmt::format("it is {}", kind);
}

void require_text(std::string_view text, std::string_view name) {
  if (const std::string fault = not_text(text); !fault.empty()) fail("{}: cannot be read as text: {}", name, fault);
}

}  // namespace ingrain::data
