// Which tokens of a GGUF file end an answer. The metadata names one or two; the others are known by what they say.
#pragma once

#include "formats/gguf.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace ingrain::formats {

/// The ids at which llama.cpp ends an answer: those that tokenizer.ggml.{eos,eot,eom}_token_id name, first, and those
/// with well-known spellings (<|eot_id|>, <|im_end|>, <end_of_turn>, ...) anywhere in the vocabulary.
std::vector<int64_t> gguf_end_ids(const Gguf& file);

/// Whether a token that is spelt so is a control token whatever type the file gives it.
bool names_control_token(std::string_view spelling);

}  // namespace ingrain::formats
