// Windowed attention on a GPU, forward, of values or of dual numbers. With s = q k, ds its tangent, p = softmax(s) and
// r = <p, ds>:  o = p v,  do = (p e) v + p dv - (r - m) o  with  e = ds - m. Any m of a row's own will do; near r it keeps p e,
// which is rounded to the activations' type, from being the small difference of large numbers. Softmax by blocks of keys with
// a running maximum; the sums of o and do stay in registers, and go through shared memory only when some row's maximum rises.
#include "ops/windowed_attention/cuda_tiles.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kThreadsPerRow = 4;

template <class Tile>
struct ForwardMemory {
  using T = typename Tile::T;
  T *q, *k, *v;
  T *p, *p_e;               // [kQueries][kLdWeights]
  float *s, *ds;            // [kQueries][kLdScores]
  float* scratch;           // P matrices a warp; lies where the scores do, which are done with when it is used
  float *factor, *mean_e;   // of every row: what its sums are multiplied with next; <p, e> at the end
  static constexpr int kScores = Tile::P * Tile::kQueries * Tile::kLdScores, kScratch = Tile::P * Tile::kWarps * Tile::kScratch;
  static constexpr int kShared = kScores > kScratch ? kScores : kScratch;

  __device__ ForwardMemory() {
    SharedPieces pieces;
    q = pieces.take<T>(Tile::kQueryTile);
    k = pieces.take<T>(Tile::kKeyTile);
    v = pieces.take<T>(Tile::kKeyTile);
    p = pieces.take<T>(Tile::P * Tile::kWeights), p_e = p + (Tile::P - 1) * Tile::kWeights;
    s = pieces.take<float>(kShared), ds = s + (Tile::P - 1) * Tile::kQueries * Tile::kLdScores;
    scratch = s + threadIdx.x / 32 * Tile::P * Tile::kScratch;
    factor = pieces.take<float>(Tile::kQueries);
    mean_e = pieces.take<float>(Tile::kQueries);
  }
  static size_t bytes() {
    return SharedPieces::bytes<T>(Tile::kQueryTile) + 2 * SharedPieces::bytes<T>(Tile::kKeyTile) +
           SharedPieces::bytes<T>(Tile::P * Tile::kWeights) + SharedPieces::bytes<float>(kShared) +
           2 * SharedPieces::bytes<float>(Tile::kQueries);
  }
};

/// s = q k and ds = dq k + q dk, not yet scaled.
template <class Tile>
__device__ void scores(const ForwardMemory<Tile>& m, bool tangents) {
  constexpr int kLd = Tile::kLd;
  for (int i = threadIdx.x / 32; i < Tile::kQueryStrips * Tile::kKeyStrips; i += Tile::kWarps) {
    const int rows = i / Tile::kKeyStrips * 16, columns = i % Tile::kKeyStrips * 16;
    const auto *const q = m.q + rows * kLd, *const k = m.k + columns * kLd;
    Sum<typename Tile::T> s;
    add_product_nt<Tile::D, kLd>(s, q, k);
    s.store(m.s + rows * Tile::kLdScores + columns, Tile::kLdScores);
    if constexpr (Tile::P == 2) {
      Sum<typename Tile::T> ds;
      add_product_nt<Tile::D, kLd>(ds, q + Tile::kQueries * kLd, k);
      if (tangents) add_product_nt<Tile::D, kLd>(ds, q, k + Tile::kKeys * kLd);
      ds.store(m.ds + rows * Tile::kLdScores + columns, Tile::kLdScores);
    }
  }
}

/// One row's sums so far, the same in each of its threads.
struct RowState {
  float max = -INFINITY, sum = 0, sum_e = 0;
  float m = 0;  // the mean of ds over the first block with keys that the row sees
};

/// x over the threads of a row.
__device__ float row_max(float x) {
  for (int distance = 1; distance < kThreadsPerRow; distance *= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}
__device__ float row_sum(float x) {
  for (int distance = 1; distance < kThreadsPerRow; distance *= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

/// Scores to unnormalized p and p e. Returns what the row's earlier sums must be multiplied with.
template <class Tile>
__device__ float softmax(const AttentionCall& c, const ForwardMemory<Tile>& m, int64_t query, int64_t key, RowState& state) {
  using T = typename Tile::T;
  constexpr int kMine = Tile::kKeys / kThreadsPerRow;
  const int row = threadIdx.x / kThreadsPerRow, first = threadIdx.x % kThreadsPerRow;
  float s[kMine], highest = -INFINITY;
#pragma unroll
  for (int j = 0; j < kMine; ++j) {
    const int column = first + j * kThreadsPerRow;
    s[j] = sees(c, query + row, key + column) ? m.s[row * Tile::kLdScores + column] * c.scale : -INFINITY;
    highest = fmaxf(highest, s[j]);
  }
  const float max = fmaxf(state.max, row_max(highest)), shrink = max == state.max ? 1 : __expf(state.max - max);
  float p[kMine], ds[kMine], sum = 0, sum_ds = 0, sum_e = 0;
#pragma unroll
  for (int j = 0; j < kMine; ++j) {
    const int column = first + j * kThreadsPerRow;
    p[j] = s[j] == -INFINITY ? 0 : __expf(s[j] - max);
    m.p[row * Tile::kLdWeights + column] = from_float<T>(p[j]);
    sum += p[j];
    if constexpr (Tile::P == 2) {
      ds[j] = m.ds[row * Tile::kLdScores + column] * c.scale;
      sum_ds += p[j] * ds[j];
    }
  }
  sum = row_sum(sum);
  if constexpr (Tile::P == 2) {
    sum_ds = row_sum(sum_ds);
    if (state.sum == 0 && sum > 0) state.m = sum_ds / sum;
#pragma unroll
    for (int j = 0; j < kMine; ++j) {
      const float p_e = p[j] * (ds[j] - state.m);
      m.p_e[row * Tile::kLdWeights + first + j * kThreadsPerRow] = from_float<T>(p_e);
      sum_e += p_e;
    }
    state.sum_e = state.sum_e * shrink + row_sum(sum_e);
  }
  state.max = max;
  state.sum = state.sum * shrink + sum;
  return shrink;
}

/// Multiplies the rows of a sum.
template <class Tile>
__device__ void scale_rows(Sum<typename Tile::T>& sum, const float* factors, float* scratch) {
  sum.store(scratch, Tile::kLdScratch);
  __syncwarp();
#pragma unroll
  for (int j = 0; j < 8; ++j) scratch[my_row() * Tile::kLdScratch + my_column() + j] *= factors[my_row()];
  __syncwarp();
  sum.load(scratch, Tile::kLdScratch);
  __syncwarp();
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) forward_tile(AttentionForward f) {
  using T = typename Tile::T;
  constexpr int P = Tile::P, kLd = Tile::kLd, kLdWeights = Tile::kLdWeights, kShare = Tile::share(Tile::kQueryStrips);
  const AttentionCall& c = f.call;
  const Place at{blockIdx.z, blockIdx.y, blockIdx.y / (c.q_heads / c.kv_heads)};
  const int64_t query = int64_t{blockIdx.x} * Tile::kQueries;
  const int64_t end_query = query + Tile::kQueries < c.tokens ? query + Tile::kQueries : c.tokens;
  const ForwardMemory<Tile> m;
  const int row = threadIdx.x / kThreadsPerRow;
  const bool speaks_for_row = threadIdx.x % kThreadsPerRow == 0;
  RowState state;
  Sum<T> o[P][kShare];
  load_queries<Tile>(c, c.q, at, query, m.q);
  for (int64_t key = first_key(c, query) / Tile::kKeys * Tile::kKeys; key < c.past + end_query; key += Tile::kKeys) {
    const bool tangents = have_tangents<Tile>(c, key);
    __syncthreads();  // the block before is done with
    load_keys<Tile>(c, c.k, at, key, tangents, m.k);
    load_keys<Tile>(c, c.v, at, key, tangents, m.v);
    __syncthreads();
    scores(m, tangents);
    __syncthreads();
    const float shrink = softmax(c, m, query, key, state);
    if (speaks_for_row) m.factor[row] = shrink;
    if (__syncthreads_or(shrink != 1))
      for_my_share<Tile, Tile::kQueryStrips>([&](int strip, int, int i) {
        for (int plane = 0; plane < P; ++plane) scale_rows<Tile>(o[plane][i], m.factor + strip * 16, m.scratch);
      });
    for_my_share<Tile, Tile::kQueryStrips>([&](int strip, int slab, int i) {
      const T *const p = m.p + strip * 16 * kLdWeights, *const v = m.v + slab * 16;
      add_product_nn<Tile::kKeys, kLdWeights, kLd>(o[0][i], p, v);
      if constexpr (P == 2) {
        add_product_nn<Tile::kKeys, kLdWeights, kLd>(o[1][i], m.p_e + strip * 16 * kLdWeights, v);
        if (tangents) add_product_nn<Tile::kKeys, kLdWeights, kLd>(o[1][i], p, v + Tile::kKeys * kLd);
      }
    });
  }

  __syncthreads();  // the last factors are done with
  if (speaks_for_row) {
    m.factor[row] = 1 / state.sum;
    m.mean_e[row] = state.sum_e / state.sum;
    if (query + row < c.tokens) {
      f.lse[statistic(c, at, query + row)] = state.max + logf(state.sum);
      if constexpr (P == 2) f.r[statistic(c, at, query + row)] = state.m + state.sum_e / state.sum;
    }
  }
  __syncthreads();
  for_my_share<Tile, Tile::kQueryStrips>([&](int strip, int slab, int i) {
    for (int plane = 0; plane < P; ++plane) o[plane][i].store(m.scratch + plane * Tile::kScratch, Tile::kLdScratch);
    __syncwarp();
    const int in_tile = strip * 16 + my_row(), element = my_row() * Tile::kLdScratch + my_column();
    if (query + in_tile < c.tokens) {
      T* const to = static_cast<T*>(f.o) + row_offset(c, 0, at.batch, c.q_heads, at.head, query + in_tile);
      float x[8], dx[8];
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        x[j] = m.scratch[element + j] * m.factor[in_tile];
        if constexpr (P == 2) dx[j] = m.scratch[Tile::kScratch + element + j] * m.factor[in_tile] - m.mean_e[in_tile] * x[j];
      }
      store_eight<Tile>(c, x, slab * 16 + my_column(), to);
      if constexpr (P == 2) store_eight<Tile>(c, dx, slab * 16 + my_column(), to + row_offset(c, 1, 0, c.q_heads, 0, 0));
    }
    __syncwarp();
  });
}

}  // namespace

void attention_forward(const AttentionForward& f, Stream stream) {
  const AttentionCall& c = f.call;
  for_tile(c.type, c.planes, c.head_dim, [&](auto tile) {
    using Sizes = decltype(tile);
    static_assert(Sizes::kThreads == kThreadsPerRow * Sizes::kQueries);
    const dim3 grid(static_cast<unsigned>(divide_up(c.tokens, Sizes::kQueries)), static_cast<unsigned>(c.q_heads),
                    static_cast<unsigned>(c.batch));
    launch("attention_forward", forward_tile<Sizes>, {grid, Sizes::kThreads, ForwardMemory<Sizes>::bytes()}, stream, f);
  });
}

}  // namespace ingrain::ops::cuda
