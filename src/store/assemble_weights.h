// A model's parameters from tensors under the names of model.safetensors, wherever those come from.
#pragma once

#include "model/kept_as.h"

#include <filesystem>

namespace ingrain {

/// Gives a CPU tensor of any floating-point type by its name in model.safetensors; Error if there is none.
using StoredTensor = std::function<Tensor(const std::string& name)>;

/// Every parameter of `config`, its matrices converted to `compute`. `read` is asked for each stored tensor once, in
/// visit order. Error naming `source` and the tensor if one has another shape than `config` asks for, or holds a NaN
/// or an infinity.
/// kept_as: which matrices are quantized; read_rows: puts the rows of a stored tensor, as the file has them, into a
/// part of such a matrix, and returns whether they are finite. Without it they are quantized here.
using StoredRows = std::function<bool(const StoredPart& rows, const Tensor& quantized, size_t part)>;
Weights assemble_weights(const ModelConfig& config, at::ScalarType compute, const std::filesystem::path& source,
                         const StoredTensor& read, const KeptAs& kept_as = {}, const StoredRows& read_rows = {});

}  // namespace ingrain
