// From tensors as another program's files hold them to those of our own files.
#pragma once

#include "families/layout.h"
#include "model/parameters.h"

#include <string>

namespace ingrain {

/// Where a file has a part of a parameter: a tensor of its own, or rows of one that holds the whole parameter.
struct ForeignPart {
  const Parameter* parameter;
  int64_t layer;
  StoredPart part;
  std::string name;         // in the file; GGUF's may be empty: it has none
  bool of_whole_parameter;  // its rows are part.first_row .. + part.rows of that tensor
};

enum class FileKind { hugging_face, gguf };

/// Every part of the model's parameters.
std::vector<ForeignPart> foreign_parts(const ModelConfig& config, const families::TensorLayout& layout, FileKind kind);

/// The part as ours, from its rows in the file: q without the gate that may lie between its heads, norms without what
/// the family leaves out of them, and heads that are
/// rotated in part with those numbers last in both halves that are not rotated (rotated_dim).
Tensor from_foreign(const ModelConfig& config, const families::TensorLayout& layout, const ForeignPart& part,
                    const Tensor& stored);
/// Whether its rows lie in another order in the file.
bool has_other_rows(const ModelConfig& config, const ForeignPart& part);

}  // namespace ingrain
