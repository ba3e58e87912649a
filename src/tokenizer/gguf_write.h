// A tokenizer.json as GGUF metadata, for llama.cpp.
#pragma once

#include "formats/gguf_writer.h"
#include "tokenizer/tokenizer.h"

#include <string>

namespace ingrain::tokenizer {

/// Sets tokenizer.ggml.* for a model with `rows` embeddings. False, and nothing set, where the tokenizer cannot be said
/// there: one that is neither BPE over bytes nor SentencePiece's, or one that cuts a text otherwise than any
/// pre-tokenizer of llama.cpp's (compared on a text made of the vocabulary, numbers, blanks and several scripts).
/// Error for what is no tokenizer.
bool set_gguf_tokenizer(std::string_view json, const FilesBeside& beside, const std::string& source, int32_t rows,
                        formats::GgufWriter& out);

/// The names of named_pre_tokenizer() that llama.cpp knows, too, for BPE over bytes: one of those that cut the same
/// way.
std::vector<std::string_view> llama_cpp_pre_tokenizers();

}  // namespace ingrain::tokenizer
