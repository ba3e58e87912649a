// Ids of tokens come from outside, often from another model's tokenizer.
#pragma once

#include "ops/dual.h"

#include <string_view>

namespace ingrain {

/// Error unless every id is in 0 .. vocab_size - 1. It begins with `what`, a plural: "tokens", "book.memory: targets".
/// ids: int64 of any shape, also empty; where they lie on a GPU, this waits for it.
void require_in_vocabulary(const Tensor& ids, int64_t vocab_size, std::string_view what);

}  // namespace ingrain
