// RoPE's angles.
#pragma once

#include "model/config.h"
#include "ops/qkv_rope/qkv_rope.h"

namespace ingrain {

/// The angle by which each of the head's pairs turns from one position to the next, stretched as the family asks:
/// [head_dim / 2], fp64. Made on `device`, without a copy from the host.
Tensor rope_frequencies(const ModelConfig& config, at::Device device = at::kCPU);

/// cos and sin for any positions [T] (int64, on the frequencies' device), of one sequence or a position a sequence.
/// Angles in fp64: exact at any position.
ops::RopeTable rope_table_at(const ModelConfig& config, const Tensor& position_T, const Tensor& frequency_R,
                             at::ScalarType type);

/// The same for positions first .. first + count - 1.
ops::RopeTable rope_table(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                          at::Device device = at::kCPU);

/// The same with angles and frequencies in fp32, as the reference implementation computes them: off by up to
/// position * 6e-8 radians. Only for comparisons with it.
ops::RopeTable rope_table_fp32(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                               at::Device device = at::kCPU);

/// A table of the same shape that turns nothing, for layers without RoPE.
ops::RopeTable unrotated(const ops::RopeTable& table);

/// The table's rows first .. first + count - 1.
ops::RopeTable slice(const ops::RopeTable& table, int64_t first, int64_t count);

}  // namespace ingrain
