// Windowed attention on a GPU, backward, of values or of dual numbers. With C = <gdo, o>, E = <go, o> + <gdo, do>,
// c = gdo v - C and e = ds - r (see tiles-inl.h):
//   cot(ds) = p c;   cot(s) = p (go v + gdo dv + c e - E)
// Two kernels that compute these once each: one gathers the gradients of a tile of queries over the keys they see, one
// those of a block of keys over the queries that see it. So no sum needs atomics, and the result is always the same.
#include "ops/windowed_attention/cuda_tiles.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kRowWarps = 4;

/// E and C of every query: a warp each.
template <class T, int P>
__global__ void sums_of_rows(AttentionBackward b) {
  const AttentionCall& c = b.call;
  const int64_t rows = c.batch * c.tokens * c.q_heads, row = int64_t{blockIdx.x} * kRowWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const T *const go = static_cast<const T*>(b.go) + row * c.head_dim, *const o = static_cast<const T*>(b.o) + row * c.head_dim;
  const int64_t plane = rows * c.head_dim;
  float E = 0, C = 0;
  for (int64_t i = threadIdx.x % 32; i < c.head_dim; i += 32) {
    const float o_i = to_float(o[i]);
    E += to_float(go[i]) * o_i;
    if constexpr (P == 2) {
      const float gdo_i = to_float(go[plane + i]);
      C += gdo_i * o_i;
      E += gdo_i * to_float(o[plane + i]);
    }
  }
  E = warp_sum(E);
  if constexpr (P == 2) C = warp_sum(C);
  if (threadIdx.x % 32 != 0) return;
  const int64_t token = row / c.q_heads, head = row % c.q_heads, batch = token / c.tokens;
  const int64_t at = (batch * c.q_heads + head) * c.tokens + token % c.tokens;
  b.sum[at] = E;
  if constexpr (P == 2) b.tangent_sum[at] = C;
}

/// kAll: with p and p e, which only the keys' gradients need.
template <class Tile, bool kAll>
struct BackwardMemory {
  using T = typename Tile::T;
  static constexpr int kKinds = (kAll ? 2 : 1) * Tile::P, kMatrices = 2 * Tile::P;
  T *q, *go, *k, *v;
  T *gs, *gds, *p, *p_e;  // [kQueries][kLdWeights]
  float* scratch;         // kMatrices matrices of this warp's own

  __device__ BackwardMemory() {
    SharedPieces pieces;
    q = pieces.take<T>(Tile::kQueryTile);
    go = pieces.take<T>(Tile::kQueryTile);
    k = pieces.take<T>(Tile::kKeyTile);
    v = pieces.take<T>(Tile::kKeyTile);
    gs = pieces.take<T>(kKinds * Tile::kWeights);
    gds = gs + (Tile::P - 1) * Tile::kWeights;
    p = gs + (kAll ? Tile::P : 0) * Tile::kWeights;
    p_e = p + (Tile::P - 1) * Tile::kWeights;
    scratch = pieces.take<float>(Tile::kWarps * kMatrices * Tile::kScratch) + threadIdx.x / 32 * kMatrices * Tile::kScratch;
  }
  static size_t bytes() {
    return 2 * SharedPieces::bytes<T>(Tile::kQueryTile) + 2 * SharedPieces::bytes<T>(Tile::kKeyTile) +
           SharedPieces::bytes<T>(kKinds * Tile::kWeights) +
           SharedPieces::bytes<float>(Tile::kWarps * kMatrices * Tile::kScratch);
  }
};

/// A lane's eight elements of cot(s) and its like, from the four products in the warp's scratch. rows, columns: the
/// matrix's place in the tile.
template <class Tile, bool kAll>
__device__ void cotangents_of_matrix(const AttentionBackward& b, const BackwardMemory<Tile, kAll>& m, const Place& at,
                                     int64_t query_tile, int64_t key_block, int rows, int columns) {
  using T = typename Tile::T;
  const AttentionCall& c = b.call;
  const int64_t query = query_tile + rows + my_row();
  const bool exists = query < c.tokens;
  const int64_t row = statistic(c, at, query);
  const float lse = exists ? b.lse[row] : 0, E = exists ? b.sum[row] : 0;
  const float r = Tile::P == 2 && exists ? b.r[row] : 0, C = Tile::P == 2 && exists ? b.tangent_sum[row] : 0;
  const int from = my_row() * Tile::kLdScratch + my_column(), to = (rows + my_row()) * Tile::kLdWeights + columns + my_column();
  const float *const s = m.scratch + from, *const x = s + Tile::kScratch;
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const bool visible = sees(c, query, key_block + columns + my_column() + j);
    const float p = visible ? __expf(s[j] * c.scale - lse) : 0;
    float gs = p * (x[j] - E);
    if constexpr (Tile::P == 2) {
      const float e = x[Tile::kScratch + j] * c.scale - r, g = x[2 * Tile::kScratch + j] - C;
      gs += p * g * e;
      m.gds[to + j] = from_float<T>(p * g);
      if constexpr (kAll) m.p_e[to + j] = from_float<T>(p * e);
    }
    m.gs[to + j] = from_float<T>(gs);
    if constexpr (kAll) m.p[to + j] = from_float<T>(p);
  }
}

/// cot(s), cot(ds) - and p, p e - of a tile of queries and a block of keys that lie in shared memory.
template <class Tile, bool kAll>
__device__ void cotangents(const AttentionBackward& b, const BackwardMemory<Tile, kAll>& m, const Place& at, int64_t query,
                           int64_t key, bool tangents) {
  constexpr int D = Tile::D, kLd = Tile::kLd, kQueryPlane = Tile::kQueries * kLd, kKeyPlane = Tile::kKeys * kLd;
  for (int i = threadIdx.x / 32; i < Tile::kQueryStrips * Tile::kKeyStrips; i += Tile::kWarps) {
    const int rows = i / Tile::kKeyStrips * 16, columns = i % Tile::kKeyStrips * 16;
    const auto *const q = m.q + rows * kLd, *const go = m.go + rows * kLd;
    const auto *const k = m.k + columns * kLd, *const v = m.v + columns * kLd;
    Sum<typename Tile::T> s, x;  // q k;  go v + gdo dv
    add_product_nt<D, kLd>(s, q, k);
    add_product_nt<D, kLd>(x, go, v);
    if constexpr (Tile::P == 2) {
      Sum<typename Tile::T> ds, g;  // dq k + q dk;  gdo v
      add_product_nt<D, kLd>(ds, q + kQueryPlane, k);
      add_product_nt<D, kLd>(g, go + kQueryPlane, v);
      if (tangents) {
        add_product_nt<D, kLd>(ds, q, k + kKeyPlane);
        add_product_nt<D, kLd>(x, go + kQueryPlane, v + kKeyPlane);
      }
      ds.store(m.scratch + 2 * Tile::kScratch, Tile::kLdScratch);
      g.store(m.scratch + 3 * Tile::kScratch, Tile::kLdScratch);
    }
    s.store(m.scratch, Tile::kLdScratch);
    x.store(m.scratch + Tile::kScratch, Tile::kLdScratch);
    __syncwarp();
    cotangents_of_matrix(b, m, at, query, key, rows, columns);
    __syncwarp();
  }
}

/// gq = cot(s) k + cot(ds) dk;  gdq = cot(ds) k.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) query_gradients(AttentionBackward b) {
  using T = typename Tile::T;
  constexpr int P = Tile::P, kLd = Tile::kLd, kLdWeights = Tile::kLdWeights;
  const AttentionCall& c = b.call;
  const Place at{blockIdx.z, blockIdx.y, blockIdx.y / (c.q_heads / c.kv_heads)};
  const int64_t query = int64_t{blockIdx.x} * Tile::kQueries;
  const int64_t end_query = query + Tile::kQueries < c.tokens ? query + Tile::kQueries : c.tokens;
  const BackwardMemory<Tile, false> m;
  Sum<T> gq[P][Tile::share(Tile::kQueryStrips)];
  load_queries<Tile>(c, c.q, at, query, m.q);
  load_queries<Tile>(c, b.go, at, query, m.go);
  for (int64_t key = first_key(c, query) / Tile::kKeys * Tile::kKeys; key < c.past + end_query; key += Tile::kKeys) {
    const bool tangents = have_tangents<Tile>(c, key);
    __syncthreads();  // the block before is done with
    load_keys<Tile>(c, c.k, at, key, tangents, m.k);
    load_keys<Tile>(c, c.v, at, key, tangents, m.v);
    __syncthreads();
    cotangents(b, m, at, query, key, tangents);
    __syncthreads();
    for_my_share<Tile, Tile::kQueryStrips>([&](int strip, int slab, int i) {
      const T* const k = m.k + slab * 16;
      add_product_nn<Tile::kKeys, kLdWeights, kLd>(gq[0][i], m.gs + strip * 16 * kLdWeights, k);
      if constexpr (P == 2) {
        const T* const gds = m.gds + strip * 16 * kLdWeights;
        add_product_nn<Tile::kKeys, kLdWeights, kLd>(gq[1][i], gds, k);
        if (tangents) add_product_nn<Tile::kKeys, kLdWeights, kLd>(gq[0][i], gds, k + Tile::kKeys * kLd);
      }
    });
  }
  for_my_share<Tile, Tile::kQueryStrips>([&](int strip, int slab, int i) {
    const int64_t mine = query + strip * 16 + my_row();
    for (int plane = 0; plane < P; ++plane) {
      T* const to = static_cast<T*>(b.gq) + row_offset(c, plane, at.batch, c.q_heads, at.head, mine);
      store_sum<Tile>(c, gq[plane][i], slab, c.scale, mine < c.tokens ? to : nullptr, m.scratch);
    }
  });
}

/// Where a key's gradient goes; null where nobody wants it.
template <class T>
__device__ T* gradient_row(const AttentionCall& c, const KeyGradient& g, const Place& at, int plane, int64_t key) {
  if (key >= c.past + c.tokens) return nullptr;
  if (key >= c.past) return static_cast<T*>(g.now) + row_offset(c, plane, at.batch, c.kv_heads, at.kv_head, key - c.past);
  if (plane == 1 || !g.past) return nullptr;
  return static_cast<T*>(g.past) + at.batch * g.past_batch_stride + (key * c.kv_heads + at.kv_head) * c.head_dim;
}

/// gv = p go + (p e) gdo;  gdv = p gdo;  gk = cot(s) q + cot(ds) dq;  gdk = cot(ds) q, over the queries of every head that
/// shares the keys.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) key_gradients(AttentionBackward b, int64_t first_block) {
  using T = typename Tile::T;
  constexpr int P = Tile::P, kLd = Tile::kLd, kLdWeights = Tile::kLdWeights, kShare = Tile::share(Tile::kKeyStrips);
  const AttentionCall& c = b.call;
  const int64_t groups = c.q_heads / c.kv_heads, key = (first_block + blockIdx.x) * Tile::kKeys;
  Place at{blockIdx.z, 0, blockIdx.y};
  const int64_t keys = c.past + c.tokens, end_key = key + Tile::kKeys < keys ? key + Tile::kKeys : keys;
  const int64_t first_query = key > c.past ? key - c.past : 0;
  const int64_t end_query = end_key - 1 + c.window - c.past < c.tokens ? end_key - 1 + c.window - c.past : c.tokens;
  const bool tangents = have_tangents<Tile>(c, key);
  const BackwardMemory<Tile, true> m;
  Sum<T> gk[P][kShare], gv[P][kShare];
  load_keys<Tile>(c, c.k, at, key, tangents, m.k);
  load_keys<Tile>(c, c.v, at, key, tangents, m.v);
  for (int64_t group = 0; group < groups; ++group) {
    at.head = at.kv_head * groups + group;
    for (int64_t query = first_query; query < end_query; query += Tile::kQueries) {
      __syncthreads();  // the tile before is done with
      load_queries<Tile>(c, c.q, at, query, m.q);
      load_queries<Tile>(c, b.go, at, query, m.go);
      __syncthreads();
      cotangents(b, m, at, query, key, tangents);
      __syncthreads();
      for_my_share<Tile, Tile::kKeyStrips>([&](int strip, int slab, int i) {
        const T *const gs = m.gs + strip * 16, *const p = m.p + strip * 16, *const q = m.q + slab * 16, *const go = m.go + slab * 16;
        add_product_tn<Tile::kQueries, kLdWeights, kLd>(gk[0][i], gs, q);
        add_product_tn<Tile::kQueries, kLdWeights, kLd>(gv[0][i], p, go);
        if constexpr (P == 2) {
          const T *const gds = m.gds + strip * 16, *const p_e = m.p_e + strip * 16;
          add_product_tn<Tile::kQueries, kLdWeights, kLd>(gk[0][i], gds, q + Tile::kQueries * kLd);
          add_product_tn<Tile::kQueries, kLdWeights, kLd>(gv[0][i], p_e, go + Tile::kQueries * kLd);
          if (tangents) {
            add_product_tn<Tile::kQueries, kLdWeights, kLd>(gk[1][i], gds, q);
            add_product_tn<Tile::kQueries, kLdWeights, kLd>(gv[1][i], p, go + Tile::kQueries * kLd);
          }
        }
      });
    }
  }
  for_my_share<Tile, Tile::kKeyStrips>([&](int strip, int slab, int i) {
    const int64_t mine = key + strip * 16 + my_row();
    for (int plane = 0; plane < P; ++plane) {
      store_sum<Tile>(c, gk[plane][i], slab, c.scale, gradient_row<T>(c, b.gk, at, plane, mine), m.scratch);
      store_sum<Tile>(c, gv[plane][i], slab, 1, gradient_row<T>(c, b.gv, at, plane, mine), m.scratch);
    }
  });
}

}  // namespace

size_t attention_shared_memory(Number type, int64_t planes, int64_t head_dim) {
  size_t bytes = 0;  // the backward for keys asks for the most: it holds all that the others do
  for_tile(type, planes, head_dim, [&](auto tile) { bytes = BackwardMemory<decltype(tile), true>::bytes(); });
  return bytes;
}

void attention_backward(const AttentionBackward& b, Stream stream) {
  const AttentionCall& c = b.call;
  for_type(c.type, [&](auto tag) {
    for_planes(c.planes, [&](auto P) {
      const int64_t blocks = divide_up(c.batch * c.tokens * c.q_heads, kRowWarps);
      launch("attention_sums_of_rows", sums_of_rows<typename decltype(tag)::type, P()>,
             {dim3(static_cast<unsigned>(blocks)), 32 * kRowWarps}, stream, b);
    });
  });
  for_tile(c.type, c.planes, c.head_dim, [&](auto tile) {
    using Sizes = decltype(tile);
    const auto batch = static_cast<unsigned>(c.batch);
    const dim3 queries(static_cast<unsigned>(divide_up(c.tokens, Sizes::kQueries)), static_cast<unsigned>(c.q_heads), batch);
    launch("attention_query_gradients", query_gradients<Sizes>,
           {queries, Sizes::kThreads, BackwardMemory<Sizes, false>::bytes()}, stream, b);
    const int64_t first_block = b.gk.past ? 0 : c.past / Sizes::kKeys, end_block = divide_up(c.past + c.tokens, Sizes::kKeys);
    const dim3 keys(static_cast<unsigned>(end_block - first_block), static_cast<unsigned>(c.kv_heads), batch);
    launch("attention_key_gradients", key_gradients<Sizes>, {keys, Sizes::kThreads, BackwardMemory<Sizes, true>::bytes()},
           stream, b, first_block);
  });
}

}  // namespace ingrain::ops::cuda
