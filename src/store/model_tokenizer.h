// The tokenizer that lies beside a model's weights, or in one file with them; a text as the model reads it.
#pragma once

#include "tokenizer/tokenizer.h"
#include "model/config.h"

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace ingrain {

/// The tokenizer of a model folder or GGUF file, if it has one. Added tokens that the model has no embedding for are
/// left out with a warning; Error if others have none.
std::optional<tokenizer::Tokenizer> find_tokenizer(const std::filesystem::path& model, const ModelConfig& config);

/// The same; Error if there is none.
tokenizer::Tokenizer load_tokenizer(const std::filesystem::path& model, const ModelConfig& config);

/// Puts the tokenizer of `from` - a model, or a tokenizer.json of any name - and its chat template into `folder`:
/// tokenizer.json and the files beside it that have a say, chat_template.jinja. What `from` does not have is left out.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& folder);

/// Puts the model's beginning-of-text token before `tokens`, if it has one.
void begin_text(const ModelConfig& config, std::vector<int32_t>& tokens);

/// `text` as the model reads a document: beginning of text, then its tokens. Special tokens written in it are text
/// like any other unless `parse_special`.
std::vector<int32_t> document_tokens(const ModelConfig& config, const tokenizer::Tokenizer& tokenizer,
                                     std::string_view text, bool parse_special = false);

}  // namespace ingrain
