#include "data/encoding.h"

#include "base/error.h"

#include <algorithm>

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

}  // namespace

std::string_view wide_encoding(std::string_view text) {
  for (const Mark& mark : kMarks)
    if (text.starts_with(mark.bytes)) return mark.encoding;
  // Without a mark: zeros are every other byte of most letters, and none of the others.
  const std::string_view head = text.substr(0, kLooked);
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < head.size(); ++i) zeros[i % 2] += head[i] == '\0' ? 1 : 0;
  const size_t most = std::max(zeros[0], zeros[1]), least = std::min(zeros[0], zeros[1]);
  if (least > 0 || most < kFewestZeros || most * 4 < head.size()) return {};
  return zeros[0] > 0 ? "UTF-16BE" : "UTF-16LE";
}

std::string not_utf8(std::string_view encoding) {
  return fmt::format("it is {0}, and text is read as UTF-8: convert it (iconv -f {0} -t UTF-8)", encoding);
}

void require_utf8(std::string_view text, std::string_view name) {
  if (const auto encoding = wide_encoding(text); !encoding.empty())
    fail("{}: cannot be read as text: {}", name, not_utf8(encoding));
}

}  // namespace ingrain::data
