// Every parameter that a model can have, one row each: shapes, names in files, sums of gradients, counts and what may
// be quantized follow from the table. A new parameter is a member of BlockWeights (model/weights.h), a row, and its use
// in the formula (model/block.cpp). Mixers bring their own rows.
#pragma once

#include "model/weights.h"

#include <array>
#include <span>
#include <string_view>

namespace ingrain {

/// The part of the computation that a parameter belongs to; mixer, fast and mlp are a block's residual steps.
enum class Step { embedding, mixer, fast, mlp, inner, final_norm, head };

/// A number of rows or columns.
using Size = int64_t (*)(const ModelConfig& config);

/// One tensor in files. A parameter that stacks several for one product has as many parts, from its first row on.
struct ParameterPart {
  std::string_view hugging_face;  // our model.safetensors has the same; of a block's, after "model.layers.N."
  std::string_view gguf;          // of a block's, after "blk.N."; empty: GGUF has none
  std::string_view reference;     // of a block's, after the folder of its step; empty: the reference has none
  Size rows = nullptr;            // null: no such part
};

struct Parameter {
  std::string_view name;                       // ours; of a block's, after "blocks.N."
  Tensor& (*member)(Weights&, int64_t layer);  // REQUIRES: `weights` has its blocks and fast MLPs
  ParameterKind kind;
  Step step;
  bool quantizable;  // a slow matrix that is only multiplied
  bool (*exists)(const ModelConfig&, int64_t layer);
  Size columns;  // null: a vector
  std::array<ParameterPart, 3> parts;
  /// Its first values; nullptr: those of its kind.
  void (*initial)(const Tensor& x, const at::Generator& generator) = nullptr;

  bool of_a_block() const { return step == Step::mixer || step == Step::fast || step == Step::mlp; }
};

/// In visit order: the embedding, what a block has, the rest.
std::span<const Parameter> parameter_table();

/// Calls `visit` for every parameter that `config` has: the embedding, block by block, the rest. `layer` is 0 for what
/// belongs to no block.
void for_each_parameter(const ModelConfig& config,
                        const std::function<void(const Parameter& parameter, int64_t layer)>& visit);

/// "blocks.3.wqkv", "head".
std::string full_name(const Parameter& parameter, int64_t layer);
/// [rows, columns] or [rows].
std::vector<int64_t> shape_of(const Parameter& parameter, const ModelConfig& config);
/// Numbers in it.
int64_t number_count(const Parameter& parameter, const ModelConfig& config);

/// A part of a parameter as files know it: its names (GGUF's is empty if it has none there) and its rows.
struct StoredPart {
  std::string name, gguf;
  int64_t first_row, rows;
};
std::vector<StoredPart> stored_parts(const Parameter& parameter, const ModelConfig& config, int64_t layer);

/// The same of all together.
int64_t parameter_count(const ModelConfig& config);

}  // namespace ingrain
