// The gate of SwiGLU on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/swiglu/call.h"
#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

void swiglu_forward(const SwigluCall& call, Stream stream);
void swiglu_backward(const SwigluCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
