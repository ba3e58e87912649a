// What both kernels of the attention's backward share. With C = <gdo, o>, E = <go, o> + <gdo, do>, c = gdo v - C and
// e = ds - r (see backward-inl.h):
//   cot(ds) = p c;   cot(s) = p (go v + gdo dv + c e - E)
// The two kernels compute these once each: one gathers the gradients of a tile of queries over the keys they see, one
// those of a tile of keys over the queries that see it. So no sum needs atomics, and the result is always the same.
#pragma once

#include "ops/windowed_attention/cuda/tiles.cuh"

namespace ingrain::ops::cuda {

/// What the forward and the sums of rows left of a query.
struct Statistics {
  float lse_2 = 0, E = 0, r = 0, C = 0;  // lse_2: lse by base 2
};
template <class Tile>
__device__ Statistics statistics_of(const AttentionBackward& b, const Place& at, int64_t query) {
  if (query >= b.call.tokens) return {};
  const int64_t row = statistic(b.call, at, query);
  if constexpr (Tile::P == 2) return {b.lse[row] * kLog2e, b.sum[row], b.r[row], b.tangent_sum[row]};
  return {b.lse[row] * kLog2e, b.sum[row], 0, 0};
}

/// Four products of a strip of queries and one of keys: s = q k, x = go v + gdo dv, ds = dq k + q dk, g = gdo v. Then,
/// in their places: cot(s), p, cot(ds), p e.
template <int P>
struct Products {
  Sum s, x, ds, g;

  /// Where s is minus infinity, p is zero, and so are the others.
  __device__ void to_cotangents(int i, float scale, const Statistics& of) {
    const float p = power_of_2(s.x[i] * (scale * kLog2e) - of.lse_2);
    float gs = p * (x.x[i] - of.E);
    if constexpr (P == 2) {
      const float e = ds.x[i] * scale - of.r, c = g.x[i] - of.C;
      gs += p * c * e;
      ds.x[i] = p * c;
      g.x[i] = p * e;
    }
    s.x[i] = gs;
    x.x[i] = p;
  }
};

/// Adds the products of the kept tile's strip at a and b - of q and go, or of k and v - and strips of the stream at A
/// and B, of the others. tangents: whether the keys have some.
template <class Tile, bool kQueriesKept, int N>
__device__ void add_products(const typename Tile::T* a, const typename Tile::T* b, const typename Tile::T* A,
                             const typename Tile::T* B, bool tangents, Products<Tile::P> (&to)[N]) {
  using T = typename Tile::T;
  constexpr int kLd = Tile::kLd, kKept = Tile::kRows * kLd, kStreamed = Tile::kStream * kLd;  // from values to tangents
#pragma unroll(Tile::kHalf ? Tile::kSlabs : 1)
  for (int at = 0; at < Tile::D; at += 16) {
    const Left<T> a_at(a + at, kLd), b_at(b + at, kLd);
    Left<T> da_at, db_at;
    if constexpr (Tile::P == 2)
      if (kQueriesKept || tangents) da_at = Left<T>(a + kKept + at, kLd), db_at = Left<T>(b + kKept + at, kLd);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      const int row = n * 16 * kLd + at;
      const Right<T, true> A_at(A + row, kLd), B_at(B + row, kLd);
      add_product(to[n].s, a_at, A_at);
      add_product(to[n].x, b_at, B_at);
      if constexpr (Tile::P == 2) {
        if constexpr (kQueriesKept) {
          add_product(to[n].ds, da_at, A_at);
          add_product(to[n].g, db_at, B_at);
        }
        if (!kQueriesKept || tangents) {
          const Right<T, true> dA_at(A + kStreamed + row, kLd), dB_at(B + kStreamed + row, kLd);
          add_product(to[n].ds, a_at, dA_at);
          if constexpr (!kQueriesKept) add_product(to[n].g, b_at, dB_at);
          if (tangents) add_product(to[n].x, db_at, dB_at);
        }
        if constexpr (!kQueriesKept)
          if (tangents) add_product(to[n].ds, da_at, A_at);
      }
    }
  }
}

/// kSplit: warps that share a strip.
template <class Tile, bool kQueriesKept, int kSplit = 1>
struct BackwardMemory {
  using T = typename Tile::T;
  static constexpr int kThreads = kSplit * Tile::kThreads, kLefts = (kQueriesKept ? 1 : 2) * Tile::P;
  static constexpr int kScratches = kThreads / 32 * kLefts * kScratch<T>;
  T *a, *b, *A, *B;        // the kept tile and the stream: q and go, k and v, or the other way round
  float* scratch;          // this warp's: kLefts matrices
  Statistics* of_queries;  // of the stream's rows, where they are queries

  __device__ BackwardMemory() {
    SharedPieces pieces;
    a = pieces.take<T>(Tile::kKept);
    b = pieces.take<T>(Tile::kKept);
    A = pieces.take<T>(Tile::kStreamed);
    B = pieces.take<T>(Tile::kStreamed);
    scratch = pieces.take<float>(kScratches) + warp() * kLefts * kScratch<T>;
    of_queries = pieces.take<Statistics>(kQueriesKept ? 0 : Tile::kStream);
  }
  static size_t bytes() {
    return 2 * SharedPieces::bytes<T>(Tile::kKept) + 2 * SharedPieces::bytes<T>(Tile::kStreamed) +
           SharedPieces::bytes<float>(kScratches) + SharedPieces::bytes<Statistics>(kQueriesKept ? 0 : Tile::kStream);
  }
};

}  // namespace ingrain::ops::cuda
