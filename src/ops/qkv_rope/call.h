// What the kernels of split heads are told, on a CPU as on a GPU.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

struct QkvRopeCall {
  Number type;
  int64_t planes, rows, tokens;  // rows: batch times tokens
  int64_t q_heads, kv_heads, head_dim;
  const float *q_norm, *k_norm;  // [head_dim]; null: no norm
  const float *cos, *sin;        // [tokens, head_dim / 2]
  bool interleaved;
  float eps;
  const void* qkv;       // [planes, rows, width()]
  void* parts[3] = {};   // [planes, rows, heads, head_dim]: q, k, v. In a backward their gradients, null where zero
  void* gqkv = nullptr;  // backward only
  float* partial_g = nullptr;  // of a GPU's backward, [slices, 2, head_dim]: the norms' gradients; null: not wanted
  int64_t slices = 0;          // of a GPU: blocks of a backward

  int64_t width() const { return (q_heads + 2 * kv_heads) * head_dim; }
};

}  // namespace ingrain::ops
