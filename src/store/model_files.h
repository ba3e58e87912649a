// A model's folder on disk: config.json, model.safetensors. (Its tokenizer: store/model_tokenizer.h.)
#pragma once

#include "formats/safetensors_folder.h"
#include "model/network.h"
#include "model/parameters.h"

#include <filesystem>

namespace ingrain {

/// Reads a model folder, a Hugging Face folder or a GGUF file (store/pretrained.h), its matrices converted to
/// `compute`. Error naming the file and the tensor if one is missing, has another shape than the configuration says,
/// or holds a NaN or infinity.
Network load_model(const std::filesystem::path& path, at::ScalarType compute, at::Device device = at::kCPU);

/// Writes config.json and model.safetensors (each whole or not at all); `store` is the type of all tensors in the file,
/// but of norms where theirs is given.
void save_model(const std::filesystem::path& folder, const ModelConfig& config, const Weights& weights,
                at::ScalarType store, std::optional<at::ScalarType> norms = {});

/// Calls `visit` for every tensor that model.safetensors holds of `weights`, in visit order: its names, and its rows of
/// the parameter that it is a part of (a view).
using StoredVisitor = std::function<void(const StoredPart& part, const Tensor& rows)>;
void visit_stored(const ModelConfig& config, const Weights& weights, const StoredVisitor& visit);

/// 16 hexadecimal digits from the values of all parameters as stored.
std::string fingerprint_of(const formats::SafetensorsFolder& stored);

}  // namespace ingrain
