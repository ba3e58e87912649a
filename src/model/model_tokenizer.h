// The tokenizer that lies beside a model's weights, or in one file with them.
#pragma once

#include "data/tokenizer.h"
#include "model/config.h"

#include <filesystem>
#include <optional>

namespace ingrain {

/// The tokenizer of a model folder or GGUF file, if it has one. Error if it has ids that the model has no embedding for.
std::optional<data::Tokenizer> find_tokenizer(const std::filesystem::path& model, const ModelConfig& config);

/// The same; Error if there is none.
data::Tokenizer load_tokenizer(const std::filesystem::path& model, const ModelConfig& config);

/// Puts the tokenizer of `from` - a model, or a tokenizer.json of any name - and its chat template into `folder`:
/// tokenizer.json, tokenizer_config.json, chat_template.jinja. What `from` does not have is left out.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& folder);

}  // namespace ingrain
