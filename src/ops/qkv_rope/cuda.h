// Splitting into heads, their norms and RoPE on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"
#include "ops/qkv_rope/call.h"

namespace ingrain::ops::cuda {

constexpr int64_t kLargestHead = 256;

void qkv_rope_forward(const QkvRopeCall& call, Stream stream);
void qkv_rope_backward(const QkvRopeCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
