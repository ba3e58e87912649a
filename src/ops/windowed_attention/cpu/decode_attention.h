// Attention of few queries on the CPU (writing; reading a few tokens at a time): keys and values are read once, as they
// lie, at the speed of memory. A piece of work is a range of positions for all heads, because a position's heads lie
// side by side.
#pragma once

#include "ops/dual.h"
#include "ops/number.h"
#include "ops/windowed_attention/cpu/limits.h"

#include <functional>

namespace ingrain::ops {

constexpr int64_t kFewKeys =
    64;  // keys of a step: its scores stay in the first-level cache, its keys and values in the second
constexpr int64_t kScoreRow =
    kFewKeys + 16;  // room for a step's scores of a head: they are written by fours and read by vectors

/// Keys or values of one sequence by position. A row has all heads, [kv_heads, head_dim]; strides in elements. The
/// first DecodeAttention::first_rows rows lie in one place, the others in another.
struct KeyRuns {
  const void *first, *rest;
  int64_t first_stride, rest_stride;
};

/// Queries of one sequence. Query i, whose own row is before + i, sees that one and the window - 1 rows before it. One
/// with before = -1 sees nothing and gets 0 (no lse then).
struct DecodeAttention {
  Number type;
  int64_t queries, q_heads, kv_heads, head_dim, window;
  float scale;
  int64_t before, first_rows;
  const void* q;  // [queries, q_heads, head_dim]
  KeyRuns k, v;

  int64_t groups() const { return q_heads / kv_heads; }
  int64_t outputs() const { return queries * q_heads; }
  int64_t padded() const { return padded_row(head_dim); }
  /// Of memory for a range: what it gives (unnormalized outputs, maxima, sums), then what it needs besides.
  int64_t range_floats() const { return outputs() * (2 * padded() + 2) + groups() * kScoreRow; }
};

/// Attention of `batch` sequences, the rows of each in `parts` ranges that threads share, at least `grain` ranges at a
/// time. call_of( sequence) is asked whenever the kernel runs, holds what it points at, and always gives the same
/// shape. o: [batch, queries, q_heads, head_dim], contiguous, of the calls' type; lse: [batch, q_heads, queries] fp32,
/// or undefined.
void decode_attention(int64_t batch, int64_t parts, int64_t grain,
                      const std::function<DecodeAttention(int64_t sequence)>& call_of, const Tensor& o,
                      const Tensor& lse);

}  // namespace ingrain::ops
