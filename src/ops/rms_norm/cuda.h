// RMSNorm on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

struct RmsNormCall {
  Number type;
  int64_t planes, residual_planes, rows, width;
  const void *x, *residual, *gy;  // [planes, rows, width] on the device; null where not given
  const float* w;                 // [width]
  float eps;
  void* out;          // y or gx
  float* partial_gw;  // [slices, width], or null: not wanted
  int64_t slices;     // blocks that share the rows of a backward
};

void rms_norm_forward(const RmsNormCall& call, Stream stream);
void rms_norm_backward(const RmsNormCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
