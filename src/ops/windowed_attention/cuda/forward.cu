// Windowed attention on a GPU, forward, of values or of dual numbers. With s = q k, ds its tangent, p = softmax(s) and
// r = <p, ds>:  o = p v,  do = (p e) v + p dv - (r - m) o  with  e = ds - m. Any m of a row's own will do; near r it
// keeps p e, which is rounded to the activations' type, from being the small difference of large numbers. A warp has 16
// queries and goes through the keys with a running maximum; all but the operands stays in registers.
#include "ops/windowed_attention/cuda/tiles.cuh"

namespace ingrain::ops::cuda {
namespace {

template <class Tile>
struct ForwardMemory {
  using T = typename Tile::T;
  static constexpr int kScratches = Tile::kStrips * Tile::P * kScratch<T>;
  T *q, *k, *v;
  float* scratch;  // this warp's: one matrix a plane

  __device__ ForwardMemory() {
    SharedPieces pieces;
    q = pieces.take<T>(Tile::kKept);
    k = pieces.take<T>(Tile::kStreamed);
    v = pieces.take<T>(Tile::kStreamed);
    scratch = pieces.take<float>(kScratches) + warp() * Tile::P * kScratch<T>;
  }
  static size_t bytes() {
    return SharedPieces::bytes<T>(Tile::kKept) + 2 * SharedPieces::bytes<T>(Tile::kStreamed) +
           SharedPieces::bytes<float>(kScratches);
  }
};

/// s = q k and ds = dq k + q dk of a strip of queries and kAtOnce strips of keys, not yet scaled.
template <class Tile>
__device__ void scores(const typename Tile::T* q, const typename Tile::T* k, bool tangents,
                       Sum (&s)[Tile::P][Tile::kAtOnce]) {
  using T = typename Tile::T;
  constexpr int kLd = Tile::kLd;
#pragma unroll(Tile::kHalf ? Tile::kSlabs : 1)
  for (int at = 0; at < Tile::D; at += 16) {
    const Left<T> q_at(q + at, kLd);
    Left<T> dq_at;
    if constexpr (Tile::P == 2) dq_at = Left<T>(q + Tile::kRows * kLd + at, kLd);
#pragma unroll
    for (int n = 0; n < Tile::kAtOnce; ++n) {
      const T* const row = k + n * 16 * kLd + at;
      const Right<T, true> k_at(row, kLd);
      add_product(s[0][n], q_at, k_at);
      if constexpr (Tile::P == 2) {
        add_product(s[1][n], dq_at, k_at);
        if (tangents) add_product(s[1][n], q_at, Right<T, true>(row + Tile::kStream * kLd, kLd));
      }
    }
  }
}

/// One row's sums so far. The sums are this lane's part; the rest is the same in the four lanes that share the row.
struct RowState {
  float max = -INFINITY, sum = 0, sum_e = 0;  // the maximum of s as it came, not scaled
  float m = 0;                                // the mean of ds over the first keys that the row sees
};

/// Scores of one of the lane's rows to unnormalized p and p e, in place. starts: some row sees its first keys. Returns
/// what the earlier sums must be multiplied with.
template <int P, int N>
__device__ float softmax(Sum (&s)[P][N], int row, float scale, bool starts, RowState& state) {
  float highest = -INFINITY;
#pragma unroll
  for (int n = 0; n < N; ++n)
#pragma unroll
    for (int j = 0; j < 4; ++j) highest = fmaxf(highest, s[0][n].x[element(row, j)]);
  const float max = fmaxf(state.max, row_max(highest)), scale_2 = scale * kLog2e;
  const float base = max == -INFINITY ? 0 : max * scale_2,
              shrink = max == state.max ? 1 : power_of_2(state.max * scale_2 - base);
  float sum = 0, sum_e = 0;
#pragma unroll
  for (int n = 0; n < N; ++n)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float& p = s[0][n].x[element(row, j)];
      p = power_of_2(p * scale_2 - base);
      sum += p;
    }
  if constexpr (P == 2) {
    if (starts) {
      float sum_ds = 0;
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum_ds += s[0][n].x[element(row, j)] * s[1][n].x[element(row, j)];
      const float mean = scale * row_sum(sum_ds) / row_sum(sum);
      if (state.max == -INFINITY && max != -INFINITY) state.m = mean;
    }
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        float& e = s[1][n].x[element(row, j)];
        e = s[0][n].x[element(row, j)] * (e * scale - state.m);
        sum_e += e;
      }
    state.sum_e = state.sum_e * shrink + sum_e;
  }
  state.max = max;
  state.sum = state.sum * shrink + sum;
  return shrink;
}

/// o += p v;  do += (p e) v + p dv.
template <class Tile>
__device__ void add_values(const Sum (&p)[Tile::P][Tile::kAtOnce], const typename Tile::T* v, bool tangents,
                           float* scratch, Sum (&o)[Tile::P][Tile::kSlabs]) {
  using T = typename Tile::T;
  constexpr int kLd = Tile::kLd;
#pragma unroll
  for (int n = 0; n < Tile::kAtOnce; ++n) {
    const Left<T> p_n(p[0][n], scratch);
    Left<T> p_e_n;
    if constexpr (Tile::P == 2) p_e_n = Left<T>(p[1][n], scratch + kScratch<T>);
#pragma unroll
    for (int slab = 0; slab < Tile::kSlabs; ++slab) {
      const T* const at = v + n * 16 * kLd + slab * 16;
      const Right<T, false> v_at(at, kLd);
      add_product(o[0][slab], p_n, v_at);
      if constexpr (Tile::P == 2) {
        add_product(o[1][slab], p_e_n, v_at);
        if (tangents) add_product(o[1][slab], p_n, Right<T, false>(at + Tile::kStream * kLd, kLd));
      }
    }
  }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) forward_tile(AttentionForward f) {
  using T = typename Tile::T;
  constexpr int P = Tile::P, kStream = Tile::kStream, kAtOnce = 16 * Tile::kAtOnce;
  const AttentionCall& c = f.call;
  const Place at{blockIdx.z, blockIdx.y, blockIdx.y / (c.q_heads / c.kv_heads)};
  const int64_t tile = int64_t{blockIdx.x} * Tile::kRows, query = tile + warp() * 16;  // of the block, of the warp
  const int64_t end_query = tile + Tile::kRows < c.tokens ? tile + Tile::kRows : c.tokens;
  const int64_t first = first_key(c, tile) > 0 ? first_key(c, tile) / kStream * kStream : 0;
  const int64_t last_first = first_key(c, query + 15) > 0 ? first_key(c, query + 15) : 0;  // of the warp's rows
  const ForwardMemory<Tile> m;
  RowState state[2];
  Sum o[P][Tile::kSlabs];
  load_queries<Tile, Tile::kRows>(c, c.q, at, tile, m.q);
  for (int64_t key = first; key < c.past + end_query; key += kStream) {
    const bool tangents = have_tangents<Tile>(c, key, kStream);
    __syncthreads();  // the keys before are done with
    load_keys<Tile, kStream>(c, c.k, at, key, tangents, m.k);
    load_keys<Tile, kStream>(c, c.v, at, key, tangents, m.v);
    __syncthreads();
#pragma unroll 1
    for (int part = 0; part < kStream; part += kAtOnce) {
      if (!any_seen(c, query, key + part, kAtOnce)) continue;
      Sum s[P][Tile::kAtOnce];
      scores<Tile>(m.q + warp() * 16 * Tile::kLd, m.k + part * Tile::kLd, tangents, s);
      const bool hides = !all_seen(c, query, key + part, kAtOnce), starts = key + part <= last_first;
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        if (hides) {
          const Range seen = seen_keys(c, query + row_of(element(row, 0)), key + part, kAtOnce);
#pragma unroll
          for (int n = 0; n < Tile::kAtOnce; ++n) hide(s[0][n], row, seen, n * 16);
        }
        const float shrink = softmax(s, row, c.scale, starts, state[row]);
        if (shrink != 1)
#pragma unroll
          for (int plane = 0; plane < P; ++plane)
#pragma unroll
            for (int slab = 0; slab < Tile::kSlabs; ++slab)
#pragma unroll
              for (int j = 0; j < 4; ++j) o[plane][slab].x[element(row, j)] *= shrink;
      }
      __syncwarp();  // the lanes' ways parted; tensor cores want them together
      add_values<Tile>(s, m.v + part * Tile::kLd, tangents, m.scratch, o);
    }
  }

#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int64_t mine = query + row_of(element(row, 0));
    const float inverse = 1 / row_sum(state[row].sum), mean_e = row_sum(state[row].sum_e) * inverse;
    if (mine >= c.tokens) continue;
    if (lane() % 4 == 0) {
      f.lse[statistic(c, at, mine)] = state[row].max * c.scale - logf(inverse);
      if constexpr (P == 2) f.r[statistic(c, at, mine)] = state[row].m + mean_e;
    }
    T* const to = static_cast<T*>(f.o) + row_offset(c, 0, at.batch, c.q_heads, at.head, mine);
#pragma unroll
    for (int slab = 0; slab < Tile::kSlabs; ++slab) {
      store_row<Tile>(c, o[0][slab], row, slab, inverse, to);
      if constexpr (P == 2) {
#pragma unroll
        for (int j = 0; j < 4; ++j) o[1][slab].x[element(row, j)] -= mean_e * o[0][slab].x[element(row, j)];
        store_row<Tile>(c, o[1][slab], row, slab, inverse, to + row_offset(c, 1, 0, c.q_heads, 0, 0));
      }
    }
  }
}

}  // namespace

void attention_forward(const AttentionForward& f, Stream stream) {
  const AttentionCall& c = f.call;
  for_tile(c.type, c.planes, c.head_dim, [&](auto tile) {
    using Sizes = decltype(tile);
    const dim3 grid(static_cast<unsigned>(divide_up(c.tokens, Sizes::kRows)), static_cast<unsigned>(c.q_heads),
                    static_cast<unsigned>(c.batch));
    launch("attention_forward", forward_tile<Sizes>, {grid, Sizes::kThreads, ForwardMemory<Sizes>::bytes()}, stream, f);
  });
}

}  // namespace ingrain::ops::cuda
