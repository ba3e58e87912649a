// The tokenizer and the chat template in a GGUF file's metadata (`tokenizer.*`).
#pragma once

#include "tokenizer/tokenizer.h"
#include "formats/gguf.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ingrain::tokenizer {

/// The text of a tokenizer.json, and of the configuration beside it, which our own files have where the metadata of
/// llama.cpp have no words for it.
inline constexpr const char *kOwnTokenizer = "tokenizer.huggingface.json",
                            *kOwnTokenizerConfig = "ingrain.tokenizer_config";

/// Whether `file` has a tokenizer of any kind.
bool has_gguf_tokenizer(const formats::Gguf& file);

/// The tokenizer in `file`: ids equal those of the model that the file was made from (docs/tokenizers.md says where
/// llama.cpp's differ). tokenizer.ggml.model: "gpt2" with a known tokenizer.ggml.pre (named_pre_tokenizer) or, without
/// one or with "default", llama.cpp's rule for that, with a warning; "gemma4"; "llama"; "t5". Error naming file and
/// field for other models and for data that contradict themselves. `rows`: as in Tokenizer::load.
tokenizer::Tokenizer gguf_tokenizer(const formats::Gguf& file, int32_t rows = kMaxTokenId);

/// The tokenizer of a GGUF file, of a tokenizer.json, or of the folder of a model.
Tokenizer tokenizer_at(const std::filesystem::path& path);

/// The same tokenizer as the text of a tokenizer.json and of the tokenizer_config.json beside it.
struct TokenizerFiles {
  std::string tokenizer, config;
};
TokenizerFiles gguf_tokenizer_files(const formats::Gguf& file);

/// The model's chat template, if it has one. Valid as long as `file`.
std::optional<std::string_view> gguf_chat_template(const formats::Gguf& file);

}  // namespace ingrain::tokenizer
