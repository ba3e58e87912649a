// A model in memory. Files: store/model_files.h.
#pragma once

#include "model/weights.h"

#include <string>
#include <string_view>

namespace ingrain {

struct Network {
  ModelConfig config;
  Weights weights;
  std::string fingerprint;  // of the stored weights: a memory belongs to the model with the same one
};

/// The fastest type that this processor multiplies natively: bf16 where it has AVX-512 bf16 or AMX, otherwise fp32.
at::ScalarType native_compute_type(at::Device device = at::kCPU);

/// "fp32", "bf16", "fp64", or "auto" for the native one. OptionError of "dtype" for anything else.
at::ScalarType parse_compute_type(std::string_view name, at::Device device = at::kCPU);

/// The name that parse_compute_type() knows it by. REQUIRES: one of the three.
std::string compute_type_name(at::ScalarType type);

}  // namespace ingrain
