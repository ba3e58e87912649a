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

}  // namespace ingrain
