// What RMSNorm's kernels are told, on a CPU as on a GPU.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

struct RmsNormCall {
  Number type;
  int64_t planes, residual_planes, rows, width;
  const void *x, *residual, *gy;  // [planes, rows, width]; null where not given
  const float* w;                 // [width]
  float eps;
  void* out;                    // y or gx
  float* partial_gw = nullptr;  // [slices, width]: the backward's sums over rows; null: not wanted
  int64_t slices = 0;           // of a GPU: blocks that share the rows of a backward
};

}  // namespace ingrain::ops
