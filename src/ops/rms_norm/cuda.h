// RMSNorm on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/rms_norm/call.h"
#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

void rms_norm_forward(const RmsNormCall& call, Stream stream);
void rms_norm_backward(const RmsNormCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
