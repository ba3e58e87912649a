// A model in memory, and its folder on disk: config.json, model.safetensors, tokenizer.json.
#pragma once

#include "model/weights.h"

#include "formats/safetensors_folder.h"

#include <optional>

namespace ingrain {

struct Network {
  ModelConfig config;
  Weights weights;
  std::string fingerprint;  // of the stored weights: a memory belongs to the model with the same one
  std::optional<Weights> quantized =
      {};  // the same with slow matrices in few bits, if quantize_slow_weights() was called

  /// The weights for a pass over `rows` tokens without gradients.
  const Weights& weights_for(int64_t rows) const { return quantized && rows <= kFewTokens ? *quantized : weights; }
  static constexpr int64_t kFewTokens = 8;  // above, products with dequantized matrices are faster
};

/// The fastest type that this processor multiplies natively: bf16 where it has AVX-512 bf16 or AMX, otherwise fp32.
at::ScalarType native_compute_type(at::Device device = at::kCPU);

/// "fp32", "bf16", "fp64", or "auto" for the native one. UsageError naming `option` for anything else.
at::ScalarType parse_compute_type(std::string_view name, at::Device device = at::kCPU,
                                  std::string_view option = "--dtype");

/// The name that parse_compute_type() knows it by. REQUIRES: one of the three.
std::string compute_type_name(at::ScalarType type);

/// Reads a model folder, a Hugging Face folder or a GGUF file (store/pretrained.h), its matrices converted to
/// `compute`. Error naming the file and the tensor if one is missing, has another shape than the configuration says,
/// or holds a NaN or infinity.
Network load_model(const std::filesystem::path& path, at::ScalarType compute, at::Device device = at::kCPU);

/// Writes config.json and model.safetensors (each whole or not at all); `store` is the type of all tensors in the file.
void save_model(const std::filesystem::path& folder, const ModelConfig& config, const Weights& weights,
                at::ScalarType store);

/// The name in model.safetensors of each part of a parameter, with the rows it covers (stacked parameters have
/// several).
struct StoredPart {
  std::string name;
  int64_t first_row, rows;
};
std::vector<StoredPart> stored_parts(const ModelConfig& config, const std::string& parameter);

/// 16 hexadecimal digits from the values of all parameters as stored.
std::string fingerprint_of(const formats::SafetensorsFolder& stored);

}  // namespace ingrain
