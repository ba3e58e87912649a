// Windowed attention on a GPU: what cuda.cpp hands to the kernels.
// The keys of a sequence are numbered from the oldest one that any query sees: `past` old ones, then `tokens` new.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

constexpr int64_t kLargestAttentionHead = 128;

/// One of k and v: the past's rows (any strides over batch and position) and the new ones, [heads, d] contiguous.
struct KeySource {
  const void* past = nullptr;
  int64_t past_batch_stride = 0, past_stride = 0;  // in elements
  const void* now = nullptr;                       // [planes, batch, tokens, kv_heads, head_dim]
};

struct AttentionCall {
  Number type;
  int64_t planes, batch, tokens, q_heads, kv_heads, head_dim, past, window;
  float scale;
  bool vectors;   // every row of every tensor of the call starts on 16 bytes, and is a multiple of that long
  const void* q;  // [planes, batch, tokens, q_heads, head_dim], like o and its gradient
  KeySource k, v;
};

struct AttentionForward {
  AttentionCall call;
  void* o;
  float *lse, *r;  // [batch, q_heads, tokens]; r (the tangent scores' mean) where there are two planes
};

/// Where the gradients of one of k and v go; `past` is null where it is not wanted.
struct KeyGradient {
  void* now = nullptr;
  void* past = nullptr;  // from the first seen key on, rows [kv_heads, head_dim] contiguous
  int64_t past_batch_stride = 0;
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
