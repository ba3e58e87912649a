#pragma once

#include <cstdint>

namespace ingrain::tokenizer {

/// tokenizer.ggml.token_type: what a token of a GGUF file is, in the file's numbers.
struct GgufTokenType {
  enum Number : int32_t { normal = 1, unknown, control, user_defined, unused, byte };
};

}  // namespace ingrain::tokenizer
