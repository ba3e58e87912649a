// What is odd, though it works: said on standard error, once.
#pragma once

#include "tokenizer/tokenizer.h"

#include <string_view>

namespace ingrain::cli {

/// "ingrain: warning: TEXT".
void say_warning(std::string_view text);
/// What the tokenizer's files have that is odd.
void say_warnings(const tokenizer::Tokenizer& tokenizer);

}  // namespace ingrain::cli
