// The gate of SwiGLU on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

struct SwigluCall {
  Number type;
  int64_t planes, rows, width;  // width: F
  const void *ab, *gu;          // [planes, rows, 2F], [planes, rows, F]
  void* out;                    // u [planes, rows, F] or gab [planes, rows, 2F]
};

void swiglu_forward(const SwigluCall& call, Stream stream);
void swiglu_backward(const SwigluCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
