// RoPE's angles. Layers may rotate differently (other bases, parts of heads, not at all): a Rope holds the rotations of
// some positions for each different way, once.
#pragma once

#include "model/config.h"
#include "ops/qkv_rope/qkv_rope.h"

namespace ingrain {

/// The rotations of T positions (or, with a token a sequence, of each sequence's own) for every layer.
struct Rope {
  std::vector<ops::RopeTable> ways;
  std::vector<Tensor> query_factor_T;  // of each way: what queries are multiplied by; undefined: 1
  std::vector<int64_t> way_of_layer;

  size_t way(int64_t layer) const { return static_cast<size_t>(way_of_layer[static_cast<size_t>(layer)]); }
  const ops::RopeTable& table(int64_t layer) const { return ways[way(layer)]; }
  const Tensor& query_factor(int64_t layer) const { return query_factor_T[way(layer)]; }
};

/// The angle by which each of the head's pairs turns from one position to the next, stretched as the layer asks; 0 for
/// pairs that are not rotated: [head_dim / 2], fp64. Made on `device`, without a copy from the host.
Tensor rope_frequencies(const ModelConfig& config, const LayerSpec& layer, at::Device device = at::kCPU);
/// The same for every way that the layers have.
std::vector<Tensor> rope_frequencies(const ModelConfig& config, at::Device device = at::kCPU);

/// For any positions [T] (int64, on the frequencies' device), of one sequence or a position a sequence. Angles in fp64:
/// exact at any position.
Rope rope_at(const ModelConfig& config, const Tensor& position_T, const std::vector<Tensor>& frequency_R,
             at::ScalarType type);

/// The same for positions first .. first + count - 1.
Rope rope_table(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                at::Device device = at::kCPU);

/// The same with angles and frequencies in fp32, as the reference implementation computes them: off by up to
/// position * 6e-8 radians. Only for comparisons with it, whose layers all rotate alike.
Rope rope_table_fp32(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                     at::Device device = at::kCPU);

/// What cos and sin of a layer's rotated pairs are multiplied by.
double rope_amplitude(const RopeScaling& scaling);

/// The table's rows first .. first + count - 1.
Rope slice(const Rope& rope, int64_t first, int64_t count);

}  // namespace ingrain
