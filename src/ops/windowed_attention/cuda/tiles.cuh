// What the attention kernels share: how they cut their work, and how tiles come into shared memory and leave registers.
// A block of threads keeps one tile of rows (queries, or keys in one of the backward's kernels), 16 rows a warp, and
// brings it together with one tile of the other kind after another: the stream. Dual numbers are two tiles, values and
// tangents: [plane][row][kLd]. Rows that do not exist are zeros. Scores and their like never leave registers.
#pragma once

#include "ops/cuda/launch.cuh"
#include "ops/cuda/matrix16.cuh"
#include "ops/windowed_attention/cuda/attention.h"

namespace ingrain::ops::cuda {

/// Sizes for an element type, a number of planes and a padded head dimension.
template <class T_, int P_, int D_>
struct Tile {
  using T = T_;
  static constexpr int P = P_, D = D_, kSlabs = D / 16;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kStrips = kHalf ? 4 : 2, kRows = 16 * kStrips;  // a strip: 16 rows of the tile that is kept
  static constexpr int kStream = kHalf ? 64 : 16;                      // rows of the other kind in shared memory
  static constexpr int kThreads = 32 * kStrips, kVec = 16 / sizeof(T);
  // Rows are 16 bytes longer than they need be, so that the same column of several rows lies in several banks.
  static constexpr int kLd = D + kVec;
  static constexpr int kKept = P * kRows * kLd, kStreamed = P * kStream * kLd;  // elements in shared memory
  /// Strips of the stream whose scores are in registers at once: as many as leave room for the sums.
  static constexpr int kAtOnce = kHalf && D <= 64 ? 2 : 1;
};

/// The block's part of the problem.
struct Place {
  int64_t batch, head, kv_head;
};

__device__ inline int warp() { return threadIdx.x / 32; }

__device__ inline int64_t row_offset(const AttentionCall& c, int plane, int64_t batch, int64_t heads, int64_t head,
                                     int64_t token) {
  return (((plane * c.batch + batch) * c.tokens + token) * heads + head) * c.head_dim;
}
__device__ inline int64_t statistic(const AttentionCall& c, const Place& at, int64_t query) {
  return (at.batch * c.q_heads + at.head) * c.tokens + query;
}

/// Places [first, last] of a tile or strip; empty where last < first.
struct Range {
  int first = 1, last = 0;
  Range() = default;
  __device__ Range(int64_t first, int64_t last, int size)
      : first(first < 0      ? 0
              : first < size ? static_cast<int>(first)
                             : size),
        last(last < size ? static_cast<int>(last < 0 ? -1 : last) : size - 1) {}
  __device__ bool has(int i) const { return first <= i && i <= last; }
};
/// The first key that a query sees.
__device__ inline int64_t first_key(const AttentionCall& c, int64_t query) { return c.past + query - c.window + 1; }
/// Which of `size` keys from `key` on a query sees.
__device__ inline Range seen_keys(const AttentionCall& c, int64_t query, int64_t key, int size) {
  return query < c.tokens ? Range(first_key(c, query) - key, c.past + query - key, size) : Range();
}
/// Which of `size` queries from `query` on see a key.
__device__ inline Range seeing_queries(const AttentionCall& c, int64_t key, int64_t query, int size) {
  const int64_t end = key - c.past + c.window < c.tokens ? key - c.past + c.window : c.tokens;
  return Range(key - c.past - query, end - 1 - query, size);
}
/// Whether every query of a strip from `query` on sees all of `size` keys from `key` on.
__device__ inline bool all_seen(const AttentionCall& c, int64_t query, int64_t key, int size) {
  return query + 16 <= c.tokens && key + size - 1 <= c.past + query && key >= first_key(c, query + 15);
}
/// Whether some query of a strip from `query` on sees some of `size` keys from `key` on.
__device__ inline bool any_seen(const AttentionCall& c, int64_t query, int64_t key, int size) {
  return query < c.tokens && key <= c.past + query + 15 && key + size > first_key(c, query);
}

/// Rows at a fixed distance; row i exists where i < count.
template <class T>
struct Rows {
  const T* first;
  int64_t stride, count;
};
/// kRows rows to shared memory: `low` is where rows before `split` lie, `high` where the others do, counted from there.
template <class Tile, int kRows>
__device__ void load_rows(const AttentionCall& c, const Rows<typename Tile::T>& low, int64_t split,
                          const Rows<typename Tile::T>& high, typename Tile::T* to) {
  using T = typename Tile::T;
  constexpr int kVecs = Tile::D / Tile::kVec;
#pragma unroll 4
  for (int i = threadIdx.x; i < kRows * kVecs; i += blockDim.x) {
    const int row = i / kVecs, column = i % kVecs * Tile::kVec;
    const bool is_low = row < split;
    const int64_t place = is_low ? row : row - split;
    const T* const from = (is_low ? low.first : high.first) + place * (is_low ? low.stride : high.stride) + column;
    const bool exists = place < (is_low ? low.count : high.count);
    Vec<T, Tile::kVec> x{};
    if (c.vectors) {
      if (exists && column < c.head_dim) x = *reinterpret_cast<const Vec<T, Tile::kVec>*>(from);
    } else {
      for (int j = 0; j < Tile::kVec; ++j)
        if (exists && column + j < c.head_dim) x.x[j] = from[j];
    }
    *reinterpret_cast<Vec<T, Tile::kVec>*>(to + row * Tile::kLd + column) = x;
  }
}
/// A tensor like q from query `first` on.
template <class Tile, int kRows>
__device__ void load_queries(const AttentionCall& c, const void* from, const Place& at, int64_t first,
                             typename Tile::T* to) {
  using T = typename Tile::T;
#pragma unroll
  for (int plane = 0; plane < Tile::P; ++plane) {
    const T* const row = static_cast<const T*>(from) + row_offset(c, plane, at.batch, c.q_heads, at.head, first);
    const Rows<T> source{row, c.q_heads * c.head_dim, c.tokens - first};
    load_rows<Tile, kRows>(c, source, 0, source, to + plane * kRows * Tile::kLd);
  }
}
/// k or v from key `first` on. The past has no tangent: zeros there.
template <class Tile, int kRows>
__device__ void load_keys(const AttentionCall& c, const KeySource& source, const Place& at, int64_t first,
                          bool tangents, typename Tile::T* to) {
  using T = typename Tile::T;
  const int64_t split = first < c.past ? c.past - first : 0, skipped = first < c.past ? 0 : first - c.past;
  const T* const past = static_cast<const T*>(source.past) + at.batch * source.past_batch_stride +
                        first * source.past_stride + at.kv_head * c.head_dim;
#pragma unroll
  for (int plane = 0; plane < Tile::P; ++plane) {
    if (plane == 1 && !tangents) break;
    const T* const now =
        static_cast<const T*>(source.now) + row_offset(c, plane, at.batch, c.kv_heads, at.kv_head, skipped);
    load_rows<Tile, kRows>(c, {past, source.past_stride, plane == 0 ? split : 0}, split,
                           {now, c.kv_heads * c.head_dim, c.tokens - skipped}, to + plane * kRows * Tile::kLd);
  }
}
/// Whether some of `rows` keys has a tangent: only new ones do.
template <class Tile>
__device__ bool have_tangents(const AttentionCall& c, int64_t first, int rows) {
  return Tile::P == 2 && first + rows > c.past;
}

constexpr float kLog2e = 1.44269504f;

/// Scores of one of the lane's rows to minus infinity where the mask hides them; the row's columns start at `first`.
__device__ inline void hide(Sum& s, int row, const Range& seen, int first) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const int i = element(row, j);
    if (!seen.has(first + column_of(i))) s.x[i] = -INFINITY;
  }
}

/// One row of a 16x16 matrix's elements, times `factor`, to a row of head_dim elements, from column `slab` * 16 on.
template <class Tile>
__device__ void store_row(const AttentionCall& c, const Sum& sum, int row, int slab, float factor,
                          typename Tile::T* to) {
  using T = typename Tile::T;
#pragma unroll
  for (int j = 0; j < 4; j += 2) {
    const int i = element(row, j), column = slab * 16 + column_of(i);
    const Floats<2> pair{factor * sum.x[i], factor * sum.x[i + 1]};
    if (c.vectors) {
      if (column < c.head_dim) store(pair, to + column);
    } else {
      if (column < c.head_dim) to[column] = from_float<T>(pair[0]);
      if (column + 1 < c.head_dim) to[column + 1] = from_float<T>(pair[1]);
    }
  }
}

/// x over the four lanes that share a row.
__device__ inline float row_max(float x) {
  for (int distance = 1; distance < 4; distance *= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}
__device__ inline float row_sum(float x) {
  for (int distance = 1; distance < 4; distance *= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

/// Hands out pieces of shared memory, each on 128 bytes.
class SharedPieces {
 public:
  template <class T>
  __device__ T* take(int count) {
    T* const piece = reinterpret_cast<T*>(shared_memory() + used_);
    used_ += bytes<T>(count);
    return piece;
  }
  template <class T>
  __host__ __device__ static constexpr size_t bytes(int count) {
    return (count * sizeof(T) + 127) / 128 * 128;
  }

 private:
  size_t used_ = 0;
};

/// run(tile sizes) for a call's type, planes and head dimension.
template <class Run>
void for_tile(Number type, int64_t planes, int64_t head_dim, Run&& run) {
  for_type(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_planes(planes, [&](auto P) {
      if (head_dim <= 64)
        run(Tile<T, P(), 64>{});
      else if (head_dim <= 80)
        run(Tile<T, P(), 80>{});
      else
        run(Tile<T, P(), kLargestAttentionHead>{});
    });
  });
}

}  // namespace ingrain::ops::cuda
