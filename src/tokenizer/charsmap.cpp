#include "tokenizer/charsmap.h"

#include <utf8proc.h>

#include <cstring>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/unicode16.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxCharsmapBytes = 16 << 20;
constexpr size_t kMaxClusterBytes = 5;  // longer ones are taken apart

// A unit of the array: where its children begin (an exclusive or), the byte that leads to it, whether a value follows.
uint32_t children_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t label_of(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_value(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value_of(uint32_t unit) { return unit & ((1u << 31) - 1); }

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& where) {
  require(bytes.size() >= 4 && bytes.size() <= kMaxCharsmapBytes,
          "{}: the table of characters has {} bytes; 4 to {} are "
          "accepted",
          where, bytes.size(), kMaxCharsmapBytes);
  uint32_t size = 0;
  std::memcpy(&size, bytes.data(), 4);
  require(size % 4 == 0 && size <= bytes.size() - 4,
          "{}: the table of characters says that its array has {} bytes, of {}; the file is cut off or damaged", where,
          size, bytes.size() - 4);
  units_.resize(size / 4);
  if (size > 0) std::memcpy(units_.data(), bytes.data() + 4, size);
  texts_ = bytes.substr(4 + size);
  require(is_utf8(texts_), "{}: the table of characters holds texts that are not UTF-8", where);
}

std::string_view Charsmap::text_at(uint32_t offset) const {
  const std::string_view rest = std::string_view(texts_).substr(offset);
  return rest.substr(0, rest.find('\0'));
}

std::optional<std::string_view> Charsmap::find(std::string_view key) const {
  if (units_.empty()) return std::nullopt;
  uint32_t at = children_of(units_[0]);
  for (const char c : key) {
    const auto byte = static_cast<uint8_t>(c);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label_of(units_[at]) != byte) return std::nullopt;
    const uint32_t unit = units_[at];
    at ^= children_of(unit);
    if (!has_value(unit)) continue;
    if (at >= units_.size() || value_of(units_[at]) > texts_.size()) return std::nullopt;
    const uint32_t offset = value_of(units_[at]);
    // A value inside a character is no text's beginning.
    if (offset < texts_.size() && (static_cast<uint8_t>(texts_[offset]) & 0xC0) == 0x80) return std::nullopt;
    return text_at(offset);
  }
  return std::nullopt;
}

void Charsmap::cluster(const TrackedText& text, size_t begin, size_t end, Rewrite& out) const {
  const std::string_view all = text.text;
  if (end - begin <= kMaxClusterBytes)
    if (const auto by = find(all.substr(begin, end - begin))) return out.replace(begin, end, *by);
  for (size_t i = begin; i < end;) {
    const size_t next = i + utf8_step(all, i).length;
    if (const auto by = find(all.substr(i, next - i)))
      out.replace(i, next, *by);
    else
      out.keep(i, next);
    i = next;
  }
}

TrackedText Charsmap::apply(const TrackedText& text) const {
  // Clusters are those of Unicode 16, whatever the installed library knows.
  const std::optional<std::string> stand_ins = with_stand_ins(text.text);
  const std::string_view shape = stand_ins ? std::string_view(*stand_ins) : std::string_view(text.text);
  Rewrite out(text);
  utf8proc_int32_t state = 0, last = 0;
  size_t begin = 0;
  for (size_t i = 0; i < shape.size();) {
    const auto c = static_cast<utf8proc_int32_t>(utf8_decode(shape, i));
    if (i > begin && utf8proc_grapheme_break_stateful(last, c, &state)) {
      cluster(text, begin, i, out);
      begin = i;
    }
    last = c;
    i += utf8_step(shape, i).length;
  }
  if (begin < shape.size()) cluster(text, begin, shape.size(), out);
  TrackedText done = std::move(out).finish();
  done.keeps_beginning = text.keeps_beginning;  // characters that become nothing do not count as taken away
  return done;
}

}  // namespace ingrain::tokenizer
