// The rows of linear-cross-entropy on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/linear_cross_entropy/call.h"
#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

void cross_entropy_rows(const CrossEntropyCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
