// Which matrices of a model lie in memory in few bits, and how.
#pragma once

#include "model/parameters.h"
#include "ops/quantized/quantized.h"

#include <functional>
#include <vector>

namespace ingrain {

/// `rows` rows of a matrix in a quantized format.
struct KeptRows {
  const ops::QuantizedFormat* format;
  int64_t rows;
};
/// All rows of a parameter, from the first on; nothing: it lies in the type of the computation.
using KeptAs = std::function<std::vector<KeptRows>(const Parameter& parameter, int64_t layer)>;

/// Empty tensors of the right shapes, as make_weights() makes them, but for those that are quantized. CPU, fp32 or
/// bf16.
Weights make_weights(const ModelConfig& config, at::ScalarType compute, const KeptAs& kept_as);

}  // namespace ingrain
