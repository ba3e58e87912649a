// The tensors of a model folder, wherever they lie: in the folder itself, or for an adapter partly in its base.
//
// An adapter is a folder that holds only what its base - another model folder - lacks or has otherwise:
//
//   config.json           the whole model's, as in any folder
//   adapter.safetensors   tensors under the names of model.safetensors; they take the place of the base's
//   base.json             {"folder": "../smollm2", "fingerprint": "16 hexadecimal digits"}; relative to the adapter
#pragma once

#include "formats/safetensors_folder.h"
#include "model/weights.h"

#include <optional>

namespace ingrain {

/// Opened read-only; movable; any number of threads may read.
class StoredWeights {
 public:
  /// Error if the weights are missing, or if an adapter's base is missing, is itself an adapter, or is not the model
  /// that the adapter was made for (both fingerprints are named).
  explicit StoredWeights(const std::filesystem::path& folder);

  bool contains(std::string_view name) const;
  const formats::TensorEntry& entry(std::string_view name) const;
  Tensor read(std::string_view name) const;

  /// 16 hexadecimal digits from the names and bytes of all tensors; an adapter's also from its base's fingerprint.
  const std::string& fingerprint() const { return fingerprint_; }
  /// The folder of an adapter's base.
  const std::optional<std::filesystem::path>& base() const { return base_folder_; }

 private:
  const formats::SafetensorsFolder& holder(std::string_view name) const;

  std::optional<std::filesystem::path> base_folder_;
  std::optional<formats::SafetensorsFolder> base_;
  std::optional<formats::SafetensorsFolder> own_;
  std::string fingerprint_;
};

/// Writes `folder` as an adapter of the model in `base_folder`: config.json, base.json, and in adapter.safetensors every
/// tensor that the base lacks or whose values differ from it, in type `store`. Each file whole or not at all.
/// `weights` are fp32, and those that the base has are its own unless they were changed.
void save_adapter(const std::filesystem::path& folder, const ModelConfig& config, const Weights& weights,
                  const std::filesystem::path& base_folder, at::ScalarType store);

}  // namespace ingrain
