// Training a model to read, from a run's configuration file (docs/training.md).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ingrain {

struct TrainingOptions {
  std::vector<std::string> overrides;           // "train.steps=100", on top of the file
  bool resume = false;                          // go on from the newest checkpoint, bit for bit
  std::function<bool()> interrupted;            // asked between steps; true: checkpoint, then an orderly end
  std::function<void(const std::string&)> say;  // lines for people
};

enum class TrainingEnd { finished, interrupted };

/// Runs until the last step or `interrupted`; the model is in the run's checkpoint folder. Error naming file, field and
/// remedy for whatever is wrong with the configuration, the data or the folder. One run at a time in a process.
TrainingEnd run_training(const std::filesystem::path& run_toml, const TrainingOptions& options = {});

}  // namespace ingrain
