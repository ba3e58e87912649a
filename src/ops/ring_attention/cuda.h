// Attention over a ring of keys on a GPU: what cuda.cpp hands to cuda.cu.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

constexpr int64_t kLargestRingHead = 256;

struct RingCall {
  Number type;
  int64_t batch, kv_heads, groups, head_dim;  // groups: query heads that share one of kv_heads
  int64_t slots, window;                      // below 2^31
  float scale;
  const int64_t* position;  // on the device, [batch]; negative: nothing is seen
  const void *q, *k, *v;    // [batch, kv_heads * groups, head_dim]; [batch, slots, kv_heads, head_dim]
  void* o;                  // like q
  int64_t segments, part;   // parts into which the seen keys are cut: ring_segments(call); ring_part(head_dim)
  float* parts;             // [batch, kv_heads * groups, segments, part]; null where there is one segment
};

/// How many segments keep a large GPU busy. A question of shapes only: what a graph captured holds for every token.
int64_t ring_segments(const RingCall& call);
/// Numbers that a segment leaves of a head: its unnormalized output in multiples of four, the scores' maximum, their
/// sum.
constexpr int64_t ring_part(int64_t head_dim) { return divide_up(head_dim, 4) * 4 + 4; }

void ring_attention(const RingCall& call, Stream stream);

struct RingStoreCall {
  Number type;
  int64_t batch, width, slots;  // width: kv_heads * head_dim
  const int64_t* position;      // [batch]; negative: nothing is stored
  const void *k_new, *v_new;    // [batch, width]
  void *k, *v;                  // [batch, slots, width]
};
void ring_store(const RingStoreCall& call, Stream stream);

}  // namespace ingrain::ops::cuda
