// The past's keys and the new ones as one tensor, for kernels that want them in one piece.
#pragma once

#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain::ops {

/// [B, W, ...] and [B, T, ...] as [B, W + T, ...]: a view where `now` follows `past` in the same memory with the same
/// strides, as in a cache that new keys were written to first; otherwise a copy.
Tensor joined(const Tensor& past_BWGd, const Tensor& now_BTGd);

/// Keys and values in one piece, [B, W + T, G, d], without those that no query sees.
struct JoinedKeys {
  Tensor k_BKGd, v_BKGd;
  int64_t past = 0, unseen = 0;  // past keys in them, and past keys left out

  /// The planes' values alone.
  JoinedKeys(const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& past, int64_t window);
};

/// x itself where kernels can read it 16 bytes at a time: each row of its last dimension is in one piece, and starts on
/// 16 bytes. Otherwise a copy that can.
Tensor with_aligned_rows(const Tensor& x);

}  // namespace ingrain::ops
