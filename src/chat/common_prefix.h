// How far what a memory has read agrees with what it should have read.
#pragma once

#include "tokenizer/tokenizer.h"

#include <span>
#include <vector>

namespace ingrain::chat {

/// `read` tokens agree; after them `rest` is to be read.
struct CommonPrefix {
  size_t read = 0;
  std::vector<int32_t> rest;
};

/// Compares by bytes, not by ids: an answer is written in tokens of the model's choice, and "ab" read as "a", "b" is
/// read. Special tokens agree with themselves only, never with the same characters as text. `read` is the last place
/// between two tokens of `have` up to which all agrees; `rest` continues there with the tokens of `want`, or, where
/// that place is within one of those, with that token's remaining bytes (and those of the text after it) encoded anew.
CommonPrefix common_prefix(const tokenizer::Tokenizer& tokenizer, std::span<const int32_t> have,
                           std::span<const int32_t> want);

}  // namespace ingrain::chat
