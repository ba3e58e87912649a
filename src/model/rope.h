// RoPE's angles for a run of positions.
#pragma once

#include "model/config.h"
#include "ops/heads/heads.h"

namespace ingrain {

/// cos and sin for positions first .. first + count - 1. Angles in fp64: exact at any position.
ops::RopeTable rope_table(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                          at::Device device = at::kCPU);

/// The same with angles and frequencies in fp32, as the reference implementation computes them: off by up to
/// position * 6e-8 radians. Only for comparisons with it.
ops::RopeTable rope_table_fp32(const ModelConfig& config, int64_t first, int64_t count, at::ScalarType type,
                               at::Device device = at::kCPU);

/// The table's rows first .. first + count - 1.
ops::RopeTable slice(const ops::RopeTable& table, int64_t first, int64_t count);

}  // namespace ingrain
