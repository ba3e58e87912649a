// A text cut into passages: parts of about 100 to 160 words that end where a paragraph or a sentence does.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace ingrain::serve {

struct Span {
  size_t offset = 0, length = 0;  // bytes of the text
};

/// In order, without the white space between them, none empty; together all that is not white space. A passage has at
/// most 160 words (two characters of a script without spaces count as one) and 2000 bytes, and is cut between
/// characters.
std::vector<Span> cut_into_passages(std::string_view text);

}  // namespace ingrain::serve
