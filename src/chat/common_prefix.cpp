#include "chat/common_prefix.h"

#include <algorithm>

namespace ingrain::chat {
namespace {

/// What agrees as a whole or not at all.
bool is_unit(const tokenizer::Tokenizer& tokenizer, int32_t id) {
  return tokenizer.is_special(id) || tokenizer.id_to_bytes(id).empty();
}

/// `want` from byte `offset` of its token `first` on: the text up to the next special token is encoded anew.
std::vector<int32_t> rest_of(const tokenizer::Tokenizer& tokenizer, std::span<const int32_t> want, size_t first,
                             size_t offset) {
  if (offset == 0) return {want.begin() + static_cast<std::ptrdiff_t>(first), want.end()};
  std::string text;
  size_t next = first;
  for (; next < want.size() && !is_unit(tokenizer, want[next]); ++next) text += tokenizer.id_to_bytes(want[next]);
  std::vector<int32_t> out =
      tokenizer.encode(std::string_view(text).substr(offset), {.parse_special = false, .continues = true});
  out.insert(out.end(), want.begin() + static_cast<std::ptrdiff_t>(next), want.end());
  return out;
}

}  // namespace

CommonPrefix common_prefix(const tokenizer::Tokenizer& tokenizer, std::span<const int32_t> have,
                           std::span<const int32_t> want) {
  size_t i = 0, j = 0, in_have = 0, in_want = 0;  // tokens, and bytes of them that agree
  size_t read = 0, next = 0, offset = 0;          // the last place between two tokens of `have`
  while (i < have.size() && j < want.size()) {
    if (in_have == 0 && in_want == 0 && have[i] == want[j]) {
      ++i, ++j;
    } else {
      if (is_unit(tokenizer, have[i]) || is_unit(tokenizer, want[j])) break;
      const std::string_view a = tokenizer.id_to_bytes(have[i]).substr(in_have),
                             b = tokenizer.id_to_bytes(want[j]).substr(in_want);
      const size_t both = std::min(a.size(), b.size());
      if (a.substr(0, both) != b.substr(0, both)) break;
      in_have += both, in_want += both;
      if (both == a.size()) ++i, in_have = 0;
      if (both == b.size()) ++j, in_want = 0;
    }
    if (in_have == 0) read = i, next = j, offset = in_want;
  }
  return {read, rest_of(tokenizer, want, next, offset)};
}

}  // namespace ingrain::chat
