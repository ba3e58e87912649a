// What the attention kernels share: how they cut their work, and how tiles come into shared memory and leave registers.
// A block of threads brings a tile of queries together with one block of keys at a time. Dual numbers are two tiles,
// values and tangents: [plane][row][kLd]. Rows that do not exist are zeros.
#pragma once

#include "ops/cuda/launch.cuh"
#include "ops/cuda/matrix16.cuh"
#include "ops/windowed_attention/cuda.h"

namespace ingrain::ops::cuda {

/// Sizes for an element type, a number of planes and a padded head dimension. Two of fp32's rows cost what bf16's do.
template <class T_, int P_, int D_>
struct Tile {
  using T = T_;
  static constexpr int P = P_, D = D_;
  static constexpr bool kHalf = sizeof(T) == 2;
  static constexpr int kQueries = kHalf ? 64 : 32, kKeys = kHalf ? 32 : 16, kWarps = kHalf ? 8 : 4;
  static constexpr int kThreads = 32 * kWarps, kPack = 16 / sizeof(T);
  static constexpr int kQueryStrips = kQueries / 16, kKeyStrips = kKeys / 16, kSlabs = D / 16;
  // Rows are 16 bytes longer than they need be, so that the same column of several rows lies in several banks.
  static constexpr int kLd = D + kPack, kLdScores = kKeys + 4, kLdWeights = kKeys + kPack, kLdScratch = 16 + 4;
  // How many elements the parts of shared memory have.
  static constexpr int kQueryTile = P * kQueries * kLd, kKeyTile = P * kKeys * kLd;
  static constexpr int kWeights = kQueries * kLdWeights;  // of one kind: one of the scores' functions, in T
  static constexpr int kScratch = 16 * kLdScratch;        // one 16x16 matrix of fp32
  /// The most 16x16 matrices of a [rows, D] result that one warp keeps.
  __host__ __device__ static constexpr int share(int strips) { return (strips * kSlabs + kWarps - 1) / kWarps; }
};

/// The block's part of the problem.
struct Place {
  int64_t batch, head, kv_head;
};

__device__ inline int64_t row_offset(const AttentionCall& c, int plane, int64_t batch, int64_t heads, int64_t head, int64_t token) {
  return (((plane * c.batch + batch) * c.tokens + token) * heads + head) * c.head_dim;
}
__device__ inline int64_t statistic(const AttentionCall& c, const Place& at, int64_t query) {
  return (at.batch * c.q_heads + at.head) * c.tokens + query;
}
__device__ inline int64_t first_key(const AttentionCall& c, int64_t query) {
  const int64_t first = c.past + query - c.window + 1;
  return first > 0 ? first : 0;
}
__device__ inline bool sees(const AttentionCall& c, int64_t query, int64_t key) {
  return query < c.tokens && key <= c.past + query && key > c.past + query - c.window;
}

/// A row of k or v; null (zeros) beyond the end and for the past's tangent.
template <class T>
__device__ const T* key_row(const AttentionCall& c, const KeySource& source, const Place& at, int plane, int64_t key) {
  if (key >= c.past + c.tokens || (plane == 1 && key < c.past)) return nullptr;
  if (key >= c.past)
    return static_cast<const T*>(source.now) + row_offset(c, plane, at.batch, c.kv_heads, at.kv_head, key - c.past);
  return static_cast<const T*>(source.past) + at.batch * source.past_batch_stride + key * source.past_stride +
         at.kv_head * c.head_dim;
}

/// `rows` rows to shared memory; row_at(row) is where one lies.
template <class Tile, class RowAt>
__device__ void load_rows(const AttentionCall& c, int rows, RowAt row_at, typename Tile::T* to) {
  using T = typename Tile::T;
  constexpr int kPacks = Tile::D / Tile::kPack;
  for (int i = threadIdx.x; i < rows * kPacks; i += Tile::kThreads) {
    const int row = i / kPacks, column = i % kPacks * Tile::kPack;
    const T* const from = row_at(row);
    Pack<T, Tile::kPack> x{};
    if (from && c.packs) {
      if (column < c.head_dim) x = *reinterpret_cast<const Pack<T, Tile::kPack>*>(from + column);
    } else if (from) {
      for (int j = 0; j < Tile::kPack; ++j)
        if (column + j < c.head_dim) x.x[j] = from[column + j];
    }
    *reinterpret_cast<Pack<T, Tile::kPack>*>(to + row * Tile::kLd + column) = x;
  }
}
template <class Tile>
__device__ void load_queries(const AttentionCall& c, const void* from, const Place& at, int64_t first, typename Tile::T* to) {
  for (int plane = 0; plane < Tile::P; ++plane)
    load_rows<Tile>(c, Tile::kQueries, [&](int i) {
      return first + i < c.tokens
                 ? static_cast<const typename Tile::T*>(from) + row_offset(c, plane, at.batch, c.q_heads, at.head, first + i)
                 : nullptr;
    }, to + plane * Tile::kQueries * Tile::kLd);
}
/// The tangents only where some key has one.
template <class Tile>
__device__ void load_keys(const AttentionCall& c, const KeySource& source, const Place& at, int64_t first, bool tangents,
                          typename Tile::T* to) {
  for (int plane = 0; plane < (tangents ? 2 : 1); ++plane)
    load_rows<Tile>(c, Tile::kKeys, [&](int i) { return key_row<typename Tile::T>(c, source, at, plane, first + i); },
                    to + plane * Tile::kKeys * Tile::kLd);
}
template <class Tile>
__device__ bool have_tangents(const AttentionCall& c, int64_t first) {
  return Tile::P == 2 && first + Tile::kKeys > c.past;
}

/// Runs f(strip, slab, i) for the matrices of a [strips * 16, D] result that are this warp's; i counts them.
template <class Tile, int kStrips, class F>
__device__ void for_my_share(F f) {
#pragma unroll
  for (int i = 0; i < Tile::share(kStrips); ++i) {
    const int matrix = threadIdx.x / 32 + i * Tile::kWarps;
    if (matrix < kStrips * Tile::kSlabs) f(matrix / Tile::kSlabs, matrix % Tile::kSlabs, i);
  }
}

/// Half a row of a 16x16 matrix is one lane's where elements are looked at.
__device__ inline int my_row() { return threadIdx.x % 32 / 2; }
__device__ inline int my_column() { return threadIdx.x % 2 * 8; }

/// Eight neighbours of a row to memory, as far as the row goes. to: the row's start.
template <class Tile>
__device__ void store_eight(const AttentionCall& c, const float (&x)[8], int column, typename Tile::T* to) {
  using T = typename Tile::T;
#pragma unroll
  for (int first = 0; first < 8; first += Tile::kPack) {
    Floats<Tile::kPack> pack;
#pragma unroll
    for (int j = 0; j < Tile::kPack; ++j) pack[j] = x[first + j];
    if (c.packs) {
      if (column + first < c.head_dim) store(pack, to + column + first);
    } else {
      for (int j = 0; j < Tile::kPack; ++j)
        if (column + first + j < c.head_dim) to[column + first + j] = from_float<T>(pack[j]);
    }
  }
}

/// A sum to memory, times `factor`; to: where this lane's row starts, or null. scratch: this warp's.
template <class Tile>
__device__ void store_sum(const AttentionCall& c, const Sum<typename Tile::T>& sum, int slab, float factor,
                          typename Tile::T* to, float* scratch) {
  sum.store(scratch, Tile::kLdScratch);
  __syncwarp();
  if (to) {
    float x[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) x[j] = factor * scratch[my_row() * Tile::kLdScratch + my_column() + j];
    store_eight<Tile>(c, x, slab * 16 + my_column(), to);
  }
  __syncwarp();
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
  __host__ __device__ static constexpr size_t bytes(int count) { return (count * sizeof(T) + 127) / 128 * 128; }

 private:
  size_t used_ = 0;
};

/// run(tile sizes) for a call's type, planes and head dimension.
template <class Run>
void for_tile(Number type, int64_t planes, int64_t head_dim, Run&& run) {
  for_type(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_planes(planes, [&](auto P) {
      if (head_dim <= 64) run(Tile<T, P(), 64>{});
      else if (head_dim <= 96) run(Tile<T, P(), 96>{});
      else run(Tile<T, P(), kLargestAttentionHead>{});
    });
  });
}

}  // namespace ingrain::ops::cuda
