// Windowed attention on a GPU, backward, of values or of dual numbers: E and C of every query, and the queries'
// gradients. A warp has 16 queries and goes through the keys that they see.
#include "ops/windowed_attention/cuda/cotangents.cuh"

namespace ingrain::ops::cuda {
namespace {

constexpr int kRowWarps = 4;

/// E and C of every query: a warp each.
template <class T, int P>
__global__ void sums_of_rows(AttentionBackward b) {
  const AttentionCall& c = b.call;
  const int64_t rows = c.batch * c.tokens * c.q_heads, row = int64_t{blockIdx.x} * kRowWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const T *const go = static_cast<const T*>(b.go) + row * c.head_dim, *const o =
                                                                          static_cast<const T*>(b.o) + row * c.head_dim;
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
      __syncwarp();  // the lanes' ways parted; tensor cores want them together
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

}  // namespace

void attention_query_gradients(const AttentionBackward& b, Stream stream) {
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
    using Memory = BackwardMemory<Sizes, true>;
    const dim3 grid(static_cast<unsigned>(divide_up(c.tokens, Sizes::kRows)), static_cast<unsigned>(c.q_heads),
                    static_cast<unsigned>(c.batch));
    launch("attention_query_gradients", query_gradients<Sizes>, {grid, Memory::kThreads, Memory::bytes()}, stream, b);
  });
}

}  // namespace ingrain::ops::cuda
