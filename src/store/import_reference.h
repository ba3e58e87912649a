// Checkpoints of the reference implementation, flattened into safetensors files, to and from our model folders.
#pragma once

#include "model/weights.h"

#include <filesystem>
#include <functional>
#include <optional>

namespace ingrain {

/// Adam's state beside the parameters: running means of g and g^2 for every parameter.
struct ReferenceOptimizerState {
  Weights mean, square;
  int64_t count = 0;  // updates made
};

struct ReferenceCheckpoint {
  ModelConfig config;
  Weights weights;      // fp32, exact for files in bf16, fp16 or fp32
  at::ScalarType type;  // that the files store
  std::optional<ReferenceOptimizerState> optimizer;
};

/// Reads params*.safetensors of `folder` and, if it is there, optimizer.safetensors ("mu.NAME", "nu.NAME", "count").
/// `config_file`: a model.json or the config.json of a golden case. Error naming file and tensor if one is missing,
/// of another shape than the configuration asks for, or not finite.
ReferenceCheckpoint load_reference_checkpoint(const std::filesystem::path& folder,
                                              const std::filesystem::path& config_file);

/// The configuration of a checkpoint: model.json or config.json in `folder` or one of the three folders above.
/// Error if there is none.
std::filesystem::path find_reference_config(const std::filesystem::path& folder);

/// Writes `optimizer.safetensors` into a model folder: "mean." and "square." before the names of model.safetensors.
void save_optimizer_state(const std::filesystem::path& folder, const ModelConfig& config,
                          const ReferenceOptimizerState& state);

/// A model folder as one flattened file under the reference's names, in the type that the folder stores: bit for bit
/// what load_reference_checkpoint read if the model came from there. `pause` is called between tensors; what it throws
/// ends the work, with nothing written.
void export_reference(const std::filesystem::path& model_folder, const std::filesystem::path& file,
                      const std::function<void()>& pause = {});

}  // namespace ingrain
