// What is odd, though it works: said on standard error, once.
#pragma once

#include "tokenizer/tokenizer.h"

#include <string_view>

namespace ingrain::cli {

/// "ingrain: warning: TEXT".
void say_warning(std::string_view text);
/// What the tokenizer's files have that is odd.
void say_warnings(const tokenizer::Tokenizer& tokenizer);
/// That a text begins with the token `bos`, which is put before every text.
void say_double_beginning(const tokenizer::Tokenizer& tokenizer, int32_t bos);

}  // namespace ingrain::cli
