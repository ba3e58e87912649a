// What the commands that read text share: the model, its tokenizer, the compute type.
#pragma once

#include "ingrain/model.h"
#include "model/model_tokenizer.h"
#include "model/network.h"

#include <CLI/CLI.hpp>

#include <string>

namespace ingrain::cli {

struct ModelOptions {
  std::string folder, dtype = "auto", weights = "native";

  /// Adds MODEL (positional), --dtype and --weights.
  void add_to(CLI::App& command);
  Network load() const;
  /// The same model with its tokenizer, as the public interface has it.
  Model open() const;
  /// The model folder's tokenizer. Error if there is none, or if it has ids that the model has no embedding for.
  data::Tokenizer tokenizer(const Network& model) const;
};

/// `text` as the model reads a document: the beginning-of-text token, if it has one and `first` is true, then the text's.
std::vector<int32_t> document_tokens(const ModelConfig& config, const data::Tokenizer& tokenizer, std::string_view text, bool first = true);

}  // namespace ingrain::cli
