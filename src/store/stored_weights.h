// What a model's files hold, whatever kind of model it is: a folder of ours, an adapter with its base, a Hugging Face
// folder, a GGUF file.
//
// An adapter is a folder that holds only what another model, its base, lacks or has otherwise:
//
//   config.json           the whole model's, as in any folder
//   adapter.safetensors   tensors under the names of model.safetensors; they take the place of the base's
//   base.json             {"model": "../smollm2", "fingerprint": "16 hexadecimal digits"}; the path from the adapter's
//   folder
#pragma once

#include "formats/safetensors_folder.h"
#include "store/pretrained.h"
#include "model/weights.h"

#include <optional>

namespace ingrain {

/// Opened read-only, tensors are read when asked for; movable; any number of threads may read.
class StoredWeights {
 public:
  /// Error if the model is missing or damaged, or if an adapter's base is missing, is itself an adapter, or is not the
  /// model that the adapter was made for (both fingerprints are named).
  explicit StoredWeights(const std::filesystem::path& path);

  const ModelConfig& config() const { return config_; }
  /// A tensor by its name in model.safetensors. Error naming the file and the tensor if it is missing.
  Tensor read(const std::string& name) const;
  /// The same as it lies, if it is a matrix in a GGUF file's blocks; done with it: forget().
  std::optional<StoredBlocks> blocks(const std::string& name) const;
  void forget(const StoredBlocks& blocks) const;
  /// 16 hexadecimal digits from the names and bytes of all tensors; an adapter's also from its base's fingerprint.
  const std::string& fingerprint() const { return fingerprint_; }
  /// Where an adapter's base is.
  const std::optional<std::filesystem::path>& base() const { return base_path_; }

 private:
  void open_base(const std::filesystem::path& folder);

  ModelConfig config_;
  std::string fingerprint_;
  std::unique_ptr<DecoderSource> decoder_;  // of another program; or else:
  std::optional<formats::SafetensorsFolder> own_;
  std::unique_ptr<StoredWeights> base_;  // of an adapter
  std::optional<std::filesystem::path> base_path_;
};

/// Writes `folder` as an adapter of the model at `base`: config.json, base.json, and in adapter.safetensors every
/// tensor that the base lacks or whose values differ from it, in type `store`. Each file whole or not at all. `weights`
/// are fp32, and those that the base has are its own unless they were changed.
void save_adapter(const std::filesystem::path& folder, const ModelConfig& config, const Weights& weights,
                  const std::filesystem::path& base, at::ScalarType store);

}  // namespace ingrain
