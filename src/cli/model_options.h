// What the commands that read text share: the model, its tokenizer, the compute type.
#pragma once

#include "data/tokenizer.h"
#include "model/model.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

namespace ingrain::cli {

struct ModelOptions {
  std::string folder, dtype = "auto";

  /// Adds MODEL (positional) and --dtype.
  void add_to(CLI::App& command);
  Model load() const;
  /// The model folder's tokenizer. Error if there is none, or if it has ids that the model has no embedding for.
  data::Tokenizer tokenizer(const Model& model) const;
};

/// The tokenizer of a model folder, if it has one.
std::optional<data::Tokenizer> find_tokenizer(const std::filesystem::path& folder, const ModelConfig& config);

/// `text` as the model reads a document: the beginning-of-text token, if it has one and `first` is true, then the text's.
std::vector<int32_t> document_tokens(const ModelConfig& config, const data::Tokenizer& tokenizer, std::string_view text, bool first = true);

}  // namespace ingrain::cli
