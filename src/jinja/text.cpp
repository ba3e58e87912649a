#include "jinja/text.h"

#include "base/utf8.h"

#include <algorithm>
#include <cstring>

namespace ingrain::jinja {
namespace {

constexpr char32_t kInvalid = 0xDC00;  // and a byte of no character, which stays as it was

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::vector<std::string_view> split_at_space(std::string_view text, int64_t limit) {
  std::vector<std::string_view> out;
  size_t at = 0;
  while (true) {
    const std::string_view rest = strip(text.substr(at), Side::Left);
    if (rest.empty()) return out;
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.push_back(rest);
      return out;
    }
    const size_t start = text.size() - rest.size();
    size_t end = start;
    while (end < text.size()) {
      size_t next = end;
      if (is_space(next_character(text, next))) break;
      end = next;
    }
    out.push_back(text.substr(start, end - start));
    at = end;
  }
}

}  // namespace

char32_t next_character(std::string_view text, size_t& at) {
  const Utf8Step step = utf8_step(text, at);
  if (step.kind != Utf8::valid) return kInvalid + static_cast<uint8_t>(text[at++]);
  const char32_t out = utf8_decode(text, at);
  at += step.length;
  return out;
}

void append_character(std::string& out, char32_t c) {
  if (c >= kInvalid + 0x80 && c <= kInvalid + 0xFF)
    out += static_cast<char>(c - kInvalid);
  else
    utf8_append(out, c);
}

size_t previous_character(std::string_view text, size_t at) {
  size_t before = at - 1;
  while (before > 0 && at - before < 4 && (static_cast<uint8_t>(text[before]) & 0xC0) == 0x80) --before;
  size_t end = before;
  next_character(text.substr(0, at), end);
  return end == at ? before : at - 1;  // a stray byte is one of its own
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) next_character(text, at);
  return count;
}

std::vector<std::string_view> split_characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    next_character(text, at);
    out.push_back(text.substr(start, at - start));
  }
  return out;
}

std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars) {
  std::vector<char32_t> wanted;
  if (chars)
    for (size_t at = 0; at < chars->size();) wanted.push_back(next_character(*chars, at));
  std::sort(wanted.begin(), wanted.end());
  const auto goes = [&](char32_t c) {
    return chars ? std::binary_search(wanted.begin(), wanted.end(), c) : is_space(c);
  };
  size_t start = 0;
  while (side != Side::Right && start < text.size()) {
    size_t next = start;
    if (!goes(next_character(text, next))) break;
    start = next;
  }
  size_t end = text.size();
  while (side != Side::Left && end > start) {
    const size_t before = previous_character(text, end);
    size_t at = before;
    const char32_t c = next_character(text.substr(0, end), at);
    if (!goes(c)) break;
    end = before;
  }
  return text.substr(start, end - start);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> out;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    if (!is_line_end(next_character(text, at))) continue;
    if (text[end] == '\r' && at < text.size() && text[at] == '\n') ++at;
    out.push_back(text.substr(start, (keep_ends ? at : end) - start));
    start = at;
  }
  if (start < text.size()) out.push_back(text.substr(start));
  return out;
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, int64_t limit) {
  if (!separator) return split_at_space(text, limit);
  std::vector<std::string_view> out;
  size_t start = 0;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t end = find(text, *separator, start);
    if (end == std::string_view::npos) break;
    out.push_back(text.substr(start, end - start));
    start = end + separator->size();
  }
  out.push_back(text.substr(start));
  return out;
}

std::vector<std::string_view> split_right(std::string_view text, std::optional<std::string_view> separator,
                                          int64_t limit) {
  // All pieces, then the first ones joined again: their text lies side by side.
  std::vector<std::string_view> all = split(text, separator, -1);
  if (limit < 0 || static_cast<int64_t>(all.size()) - (separator ? 1 : 0) <= limit) return all;
  const size_t kept = static_cast<size_t>(limit);
  const std::string_view last_joined = all[all.size() - kept - 1];
  const std::string_view head(text.data(), static_cast<size_t>(last_joined.data() + last_joined.size() - text.data()));
  std::vector<std::string_view> out{head};
  out.insert(out.end(), all.end() - static_cast<std::ptrdiff_t>(kept), all.end());
  return out;
}

std::optional<size_t> byte_offset(std::string_view text, size_t characters) {
  size_t at = 0;
  for (; characters > 0; --characters) {
    if (at >= text.size()) return std::nullopt;
    next_character(text, at);
  }
  return at;
}

size_t find(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = ::memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : std::string_view::npos;
}

std::string replace(std::string_view text, std::string_view old, std::string_view replacement, int64_t limit) {
  std::string out;
  size_t at = 0;
  int64_t done = 0;
  if (old.empty()) {  // before every character and at the end
    for (const std::string_view character : split_characters(text)) {
      if (limit < 0 || done++ < limit) out += replacement;
      out += character;
    }
    if (limit < 0 || done < limit) out += replacement;
    return out;
  }
  for (; limit < 0 || done < limit; ++done) {
    const size_t next = find(text, old, at);
    if (next == std::string_view::npos) break;
    out.append(text.substr(at, next - at)).append(replacement);
    at = next + old.size();
  }
  return out.append(text.substr(at));
}

}  // namespace ingrain::jinja
