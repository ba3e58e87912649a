// Windowed attention on a GPU, backward, of values or of dual numbers. With C = <gdo, o>, E = <go, o> + <gdo, do>,
// c = gdo v - C and e = ds - r (see tiles-inl.h):
//   cot(ds) = p c;   cot(s) = p (go v + gdo dv + c e - E)
// Two kernels that compute these once each: one gathers the gradients of a tile of queries over the keys they see, one
// those of a tile of keys over the queries that see it. So no sum needs atomics, and the result is always the same.
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

/// What the forward and sums_of_rows left of a query.
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

/// Four products of a strip of queries and one of keys: s = q k, x = go v + gdo dv, ds = dq k + q dk, g = gdo v. Then, in
/// their places: cot(s), p, cot(ds), p e.
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

/// Adds the products of the kept tile's strip at a and b - of q and go, or of k and v - and strips of the stream at A and B,
/// of the others. tangents: whether the keys have some.
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

/// gq = cot(s) k + cot(ds) dk;  gdq = cot(ds) k.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) query_gradients(AttentionBackward b) {
  using T = typename Tile::T;
  constexpr int P = Tile::P, kLd = Tile::kLd, kStream = Tile::kStream, kAtOnce = 16 * Tile::kAtOnce;
  const AttentionCall& c = b.call;
  const Place at{blockIdx.z, blockIdx.y, blockIdx.y / (c.q_heads / c.kv_heads)};
  const int64_t tile = int64_t{blockIdx.x} * Tile::kRows, query = tile + warp() * 16;  // of the block, of the warp
  const int64_t end_query = tile + Tile::kRows < c.tokens ? tile + Tile::kRows : c.tokens;
  const int64_t first = first_key(c, tile) > 0 ? first_key(c, tile) / kStream * kStream : 0;
  const BackwardMemory<Tile, true> m;
  const T *const q = m.a + warp() * 16 * kLd, *const go = m.b + warp() * 16 * kLd;
  const int64_t mine[2] = {query + row_of(element(0, 0)), query + row_of(element(1, 0))};
  const Statistics of[2] = {statistics_of<Tile>(b, at, mine[0]), statistics_of<Tile>(b, at, mine[1])};
  Sum gq[P][Tile::kSlabs];
  load_queries<Tile, Tile::kRows>(c, c.q, at, tile, m.a);
  load_queries<Tile, Tile::kRows>(c, b.go, at, tile, m.b);
  for (int64_t key = first; key < c.past + end_query; key += kStream) {
    const bool tangents = have_tangents<Tile>(c, key, kStream);
    __syncthreads();  // the keys before are done with
    load_keys<Tile, kStream>(c, c.k, at, key, tangents, m.A);
    load_keys<Tile, kStream>(c, c.v, at, key, tangents, m.B);
    __syncthreads();
#pragma unroll 1
    for (int part = 0; part < kStream; part += kAtOnce) {
      if (!any_seen(c, query, key + part, kAtOnce)) continue;
      const T* const k = m.A + part * kLd;
      Products<P> products[Tile::kAtOnce];
      add_products<Tile, true>(q, go, k, m.B + part * kLd, tangents, products);
      const bool hides = !all_seen(c, query, key + part, kAtOnce);
#pragma unroll
      for (int row = 0; row < 2; ++row)
#pragma unroll
        for (int n = 0; n < Tile::kAtOnce; ++n) {
          if (hides) hide(products[n].s, row, seen_keys(c, mine[row], key + part, kAtOnce), n * 16);
#pragma unroll
          for (int j = 0; j < 4; ++j) products[n].to_cotangents(element(row, j), c.scale, of[row]);
        }
#pragma unroll
      for (int n = 0; n < Tile::kAtOnce; ++n) {
        const Left<T> gs(products[n].s, m.scratch);
        Left<T> gds;
        if constexpr (P == 2) gds = Left<T>(products[n].ds, m.scratch + kScratch<T>);
#pragma unroll
        for (int slab = 0; slab < Tile::kSlabs; ++slab) {
          const T* const k_at = k + n * 16 * kLd + slab * 16;
          const Right<T, false> values(k_at, kLd);
          add_product(gq[0][slab], gs, values);
          if constexpr (P == 2) {
            add_product(gq[1][slab], gds, values);
            if (tangents) add_product(gq[0][slab], gds, Right<T, false>(k_at + kStream * kLd, kLd));
          }
        }
      }
    }
  }
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    if (mine[row] >= c.tokens) continue;
#pragma unroll
    for (int plane = 0; plane < P; ++plane) {
      T* const to = static_cast<T*>(b.gq) + row_offset(c, plane, at.batch, c.q_heads, at.head, mine[row]);
#pragma unroll
      for (int slab = 0; slab < Tile::kSlabs; ++slab) store_row<Tile>(c, gq[plane][slab], row, slab, c.scale, to);
    }
  }
}

/// Where a key's gradient goes; null where nobody wants it.
template <class T>
__device__ T* gradient_row(const AttentionCall& c, const KeyGradient& g, const Place& at, int plane, int64_t key) {
  if (key >= c.past + c.tokens) return nullptr;
  if (key >= c.past) return static_cast<T*>(g.now) + row_offset(c, plane, at.batch, c.kv_heads, at.kv_head, key - c.past);
  if (plane == 1 || !g.past) return nullptr;
  return static_cast<T*>(g.past) + at.batch * g.past_batch_stride + (key * c.kv_heads + at.kv_head) * c.head_dim;
}

/// Two warps share a strip of keys where one could not hold all of its gradients.
template <class Tile, bool kTangents>
using KeysMemory = BackwardMemory<Tile, false, (kTangents && Tile::D > 64) ? 2 : 1>;

/// gv = p go + (p e) gdo;  gdv = p gdo;  gk = cot(s) q + cot(ds) dq;  gdk = cot(ds) q, over the queries of every head that
/// shares the keys. Rows are keys, columns queries. kTangents: whether the keys have some, and so gdk and gdv.
template <class Tile, bool kTangents>
__global__ void __launch_bounds__(KeysMemory<Tile, kTangents>::kThreads) key_gradients(AttentionBackward b, int64_t first_tile) {
  using T = typename Tile::T;
  using Memory = KeysMemory<Tile, kTangents>;
  constexpr int P = Tile::P, kPlanes = kTangents ? 2 : 1, kLd = Tile::kLd, kStream = Tile::kStream, kToTangents = kStream * kLd;
  constexpr int kSplit = Memory::kThreads / Tile::kThreads;
  constexpr int kShare = (Tile::kSlabs + kSplit - 1) / kSplit;  // of the gradients' slabs, for one warp
  const AttentionCall& c = b.call;
  const int64_t groups = c.q_heads / c.kv_heads, tile = (first_tile + blockIdx.x) * Tile::kRows;
  const int strip = warp() / kSplit * 16, first_slab = warp() % kSplit * kShare;
  Place at{blockIdx.z, 0, blockIdx.y};
  const int64_t key = tile + strip, keys = c.past + c.tokens, end_key = tile + Tile::kRows < keys ? tile + Tile::kRows : keys;
  const int64_t first_query = tile > c.past ? tile - c.past : 0;
  const int64_t end_query = end_key - 1 + c.window - c.past < c.tokens ? end_key - 1 + c.window - c.past : c.tokens;
  const Memory m;
  const T *const k = m.a + strip * kLd, *const v = m.b + strip * kLd;
  const int64_t mine[2] = {key + row_of(element(0, 0)), key + row_of(element(1, 0))};
  Sum gk[kPlanes][kShare], gv[kPlanes][kShare];
  load_keys<Tile, Tile::kRows>(c, c.k, at, tile, kTangents, m.a);
  load_keys<Tile, Tile::kRows>(c, c.v, at, tile, kTangents, m.b);
  for (int64_t group = 0; group < groups; ++group) {
    at.head = at.kv_head * groups + group;
    for (int64_t query = first_query; query < end_query; query += kStream) {
      __syncthreads();  // the queries before are done with
      load_queries<Tile, kStream>(c, c.q, at, query, m.A);
      load_queries<Tile, kStream>(c, b.go, at, query, m.B);
      for (int i = threadIdx.x; i < kStream; i += blockDim.x) m.of_queries[i] = statistics_of<Tile>(b, at, query + i);
      __syncthreads();
#pragma unroll 1
      for (int part = 0; part < kStream; part += 16) {
        if (!any_seen(c, query + part, key, 16)) continue;
        const T *const q = m.A + part * kLd, *const go = m.B + part * kLd;
        Products<P> products[1];
        add_products<Tile, false>(k, v, q, go, kTangents, products);
        if (!all_seen(c, query + part, key, 16))
#pragma unroll
          for (int row = 0; row < 2; ++row) hide(products[0].s, row, seeing_queries(c, mine[row], query + part, 16), 0);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const Statistics of = m.of_queries[part + column_of(element(0, j))];
#pragma unroll
          for (int row = 0; row < 2; ++row) products[0].to_cotangents(element(row, j), c.scale, of);
        }
        const Left<T> gs(products[0].s, m.scratch), p(products[0].x, m.scratch + kScratch<T>);
        Left<T> gds, p_e;
        if constexpr (P == 2) {
          gds = Left<T>(products[0].ds, m.scratch + 2 * kScratch<T>);
          p_e = Left<T>(products[0].g, m.scratch + 3 * kScratch<T>);
        }
#pragma unroll
        for (int i = 0; i < kShare; ++i) {
          const int slab = first_slab + i;
          if (slab >= Tile::kSlabs) break;
          const Right<T, false> q_at(q + slab * 16, kLd), go_at(go + slab * 16, kLd);
          add_product(gk[0][i], gs, q_at);
          add_product(gv[0][i], p, go_at);
          if constexpr (P == 2) {
            const Right<T, false> dq_at(q + kToTangents + slab * 16, kLd), gdo_at(go + kToTangents + slab * 16, kLd);
            add_product(gk[0][i], gds, dq_at);
            add_product(gv[0][i], p_e, gdo_at);
            if constexpr (kTangents) {
              add_product(gk[1][i], gds, q_at);
              add_product(gv[1][i], p, gdo_at);
            }
          }
        }
      }
    }
  }
#pragma unroll
  for (int row = 0; row < 2; ++row)
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
      T* const to_k = gradient_row<T>(c, b.gk, at, plane, mine[row]);
      T* const to_v = gradient_row<T>(c, b.gv, at, plane, mine[row]);
#pragma unroll
      for (int i = 0; i < kShare; ++i) {
        const int slab = first_slab + i;
        if (to_k) store_row<Tile>(c, gk[plane][i], row, slab, c.scale, to_k);
        if (to_v) store_row<Tile>(c, gv[plane][i], row, slab, 1, to_v);
      }
    }
}

}  // namespace

size_t attention_shared_memory(Number type, int64_t planes, int64_t head_dim) {
  size_t bytes = 0;  // the backward for keys asks for the most: it holds all that the others do
  for_tile(type, planes, head_dim, [&](auto tile) { bytes = KeysMemory<decltype(tile), decltype(tile)::P == 2>::bytes(); });
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
    const auto grid = [&](int64_t tiles, int64_t heads) {
      return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(heads), static_cast<unsigned>(c.batch));
    };
    using OfQueries = BackwardMemory<Sizes, true>;
    launch("attention_query_gradients", query_gradients<Sizes>,
           {grid(divide_up(c.tokens, Sizes::kRows), c.q_heads), OfQueries::kThreads, OfQueries::bytes()}, stream, b);
    const auto keys = [&](auto tangents, int64_t first, int64_t end) {
      using OfKeys = KeysMemory<Sizes, tangents()>;
      if (first < end)
        launch("attention_key_gradients", key_gradients<Sizes, tangents()>,
               {grid(end - first, c.kv_heads), OfKeys::kThreads, OfKeys::bytes()}, stream, b, first);
    };
    const int64_t of_past = c.past / Sizes::kRows, first = b.gk.past ? 0 : of_past, end = divide_up(c.past + c.tokens, Sizes::kRows);
    if constexpr (Sizes::P == 1) return keys(std::false_type(), first, end);
    keys(std::false_type(), first, of_past);
    keys(std::bool_constant<Sizes::P == 2>(), of_past, end);
  });
}

}  // namespace ingrain::ops::cuda
