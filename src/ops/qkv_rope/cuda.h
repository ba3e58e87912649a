// Splitting into heads, their norms and RoPE on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

constexpr int64_t kLargestHead = 256;

struct HeadsCall {
  Number type;
  int64_t planes, rows, tokens;  // rows: batch times tokens
  int64_t q_heads, kv_heads, head_dim;
  const float *q_norm, *k_norm;  // [head_dim]; null: no norm
  const float *cos, *sin;        // [tokens, head_dim / 2]
  bool interleaved;
  float eps;
  const void* qkv;   // [planes, rows, (q_heads + 2 kv_heads) head_dim]
  void* parts[3];    // [planes, rows, heads, head_dim]: q, k, v. In a backward their gradients, null where zero
  void* gqkv;        // backward only
  float* partial_g;  // [slices, 2, head_dim]: the norms' gradients; null: not wanted
  int64_t slices;    // blocks of a backward
};

void heads_forward(const HeadsCall& call, Stream stream);
void heads_backward(const HeadsCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
