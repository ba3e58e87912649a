// Windowed attention on a GPU: what cuda.cpp hands to the kernels.
#pragma once

#include "ops/cuda/types.h"
#include "ops/windowed_attention/call.h"

namespace ingrain::ops::cuda {

constexpr int64_t kLargestAttentionHead = 128;

struct AttentionForward {
  AttentionCall call;
  void* o;
  float *lse, *r;  // [batch, q_heads, tokens]; r (the tangent scores' mean) where there are two planes
};

struct AttentionBackward {
  AttentionCall call;
  const void *go, *o;
  const float *lse, *r;      // the forward's statistics
  float *sum, *tangent_sum;  // like them: <go, o> + <gdo, do> and <gdo, o>, which the backward takes first
  void* gq;
  KeyGradient gk, gv;
};

/// The most shared memory that one of the kernels asks for.
size_t attention_shared_memory(Number type, int64_t planes, int64_t head_dim);

void attention_forward(const AttentionForward& f, Stream stream);
/// The backward: first `sum`, `tangent_sum` and the queries' gradients, then those of keys and values.
void attention_query_gradients(const AttentionBackward& b, Stream stream);
void attention_key_gradients(const AttentionBackward& b, Stream stream);

}  // namespace ingrain::ops::cuda
