// Splitting into heads, their norms and RoPE on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"
#include "ops/qkv_rope/call.h"

namespace ingrain::ops::cuda {

constexpr int64_t kLargestHead = 256;

void heads_forward(const HeadsCall& call, Stream stream);
void heads_backward(const HeadsCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
