// What the commands that read text share: the model, its tokenizer, the compute type, the device.
#pragma once

#include "store/model_tokenizer.h"
#include "store/open_model.h"

#include <CLI/CLI.hpp>

#include <string>

namespace ingrain::cli {

struct ModelOptions {
  std::string folder;
  LoadOptions how;

  /// Adds MODEL (positional), --device, --dtype and --weights.
  void add_to(CLI::App& command);
  /// Adds MODEL alone.
  void add_folder_to(CLI::App& command);
  Network load() const;
  /// The same model with its tokenizer, as the public interface has it.
  Model open() const;
  /// The model folder's tokenizer. Error if there is none, or if it has ids that the model has no embedding for.
  tokenizer::Tokenizer tokenizer(const Network& model) const;
};

/// The model folder or file that a person means by `name`: a path, or the name of one in the places where models lie
/// (cli/paths.h). Error with suggestions if there is neither, or if it is a memory.
std::filesystem::path resolve_model(const std::string& name);
/// `named` (resolved), if not empty, else the model of `memory` among those that lie in these places. Error that names
/// the remedy.
std::filesystem::path model_for_memory(const std::string& memory, const std::string& named);

/// Adds --device and --dtype, for commands that name their model otherwise.
void add_compute_options(CLI::App& command, LoadOptions& how);
/// Adds --weights.
void add_weights_option(CLI::App& command, LoadOptions& how);
/// Adds --special.
void add_special_flag(CLI::App& command, bool& special);
/// Says on standard error, once, that a text which begins with the token `first` brings the beginning of text that it
/// gets anyway.
void warn_of_double_bos(const ModelConfig& config, int32_t first);
/// Adds --device alone.
void add_device_option(CLI::App& command, std::string& device);

}  // namespace ingrain::cli
