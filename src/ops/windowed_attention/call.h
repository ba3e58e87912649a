// What the attention kernels are told, on a CPU as on a GPU.
// The keys of a sequence are numbered from the oldest one that any query sees: `past` old ones, then `tokens` new.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

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
  const void* q;  // [planes, batch, tokens, q_heads, head_dim], like o and its gradient
  KeySource k, v;
  bool vectors = false;  // of a GPU: every row of every tensor starts on 16 bytes, and is a multiple of that long
};

/// Where the gradients of one of k and v go; `past` is null where it is not wanted.
struct KeyGradient {
  void* now = nullptr;
  void* past = nullptr;  // from the first seen key on, rows [kv_heads, head_dim] contiguous
  int64_t past_batch_stride = 0;
};

}  // namespace ingrain::ops
