// What the commands that read text share: the model, its tokenizer, the compute type, the device.
#pragma once

#include "ingrain/model.h"
#include "model/config.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace ingrain::cli {

struct ModelOptions {
  std::string folder;
  LoadOptions how;

  /// Adds MODEL (positional), --device, --dtype, --weights and --step-delay.
  void add_to(CLI::App& command);
  /// Adds MODEL alone.
  void add_folder_to(CLI::App& command);
  /// The model, after its warnings were said.
  Model open() const;
  Model load() const;  // without a word: they are of the tokenizer, and not all commands need it
};

/// The model folder or file that a person means by `name`: a path, or the name of one in the places where models lie
/// (cli/paths.h); of a folder that holds one GGUF file and nothing else of a model, that file. Error with suggestions
/// if there is neither, or if it is a memory.
std::filesystem::path resolve_model(const std::string& name);
/// The same for a command to which these `shapes`, names in the place of a model, mean something, too: they are
/// returned as they are.
std::filesystem::path resolve_model(const std::string& name, const std::vector<std::string>& shapes);
/// `path`, or the GGUF file in it that resolve_model() means. Error that names them if there are several.
std::filesystem::path gguf_in(const std::filesystem::path& path);
/// Of a model at a path, by its headers alone. Error if it is none, or none that can be run.
ModelConfig config_of(const std::filesystem::path& model);
/// Error if `output`, or what it is a link to, is what is worked on: one of the model's own files, or one of `texts`. A
/// memory in a model's folder is none of them.
void require_no_input(const std::filesystem::path& output, const std::filesystem::path& model,
                      const std::vector<std::filesystem::path>& texts = {});
/// Error with the remedy if `name` is a memory, where a model is asked for.
void require_no_memory(const std::string& name);
/// `named` (resolved), if not empty, else the model of `memory` among those that lie in these places. Error that names
/// the remedy.
std::filesystem::path model_for_memory(const std::string& memory, const std::string& named);

/// Adds --device and --dtype, for commands that name their model otherwise.
void add_compute_options(CLI::App& command, LoadOptions& how);
/// Adds --weights.
void add_weights_option(CLI::App& command, LoadOptions& how);
/// Adds --step-delay.
void add_step_delay_option(CLI::App& command, LoadOptions& how);
/// Adds --special.
void add_special_flag(CLI::App& command, bool& special);
/// Says on standard error, once, that a text which begins with the token `first` brings the beginning of text that it
/// gets anyway.
void warn_of_double_bos(const Model& model, int32_t first);
/// Adds --device alone.
void add_device_option(CLI::App& command, std::string& device);

}  // namespace ingrain::cli
