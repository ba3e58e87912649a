// Unicode's normal forms, which some tokenizers bring a text into.
#pragma once

#include <string>
#include <string_view>

namespace ingrain::tokenizer {

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// `text` (valid UTF-8) in a Unicode normal form, by the tables of Unicode 9 as in PyPI's tokenizers: younger
/// characters that later tables reorder or decompose stay as and where they are.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace ingrain::tokenizer
