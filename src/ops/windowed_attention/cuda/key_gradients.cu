// Windowed attention on a GPU, backward, of values or of dual numbers: the gradients of keys and values. A warp has 16
// keys and goes through the queries that see them.
#include "ops/windowed_attention/cuda/cotangents.cuh"

namespace ingrain::ops::cuda {
namespace {

/// Where a key's gradient goes; null where nobody wants it.
template <class T>
__device__ T* gradient_row(const AttentionCall& c, const KeyGradient& g, const Place& at, int plane, int64_t key) {
  if (key >= c.past + c.tokens) return nullptr;
  if (key >= c.past)
    return static_cast<T*>(g.now) + row_offset(c, plane, at.batch, c.kv_heads, at.kv_head, key - c.past);
  if (plane == 1 || !g.past) return nullptr;
  return static_cast<T*>(g.past) + at.batch * g.past_batch_stride + (key * c.kv_heads + at.kv_head) * c.head_dim;
}

/// Two warps share a strip of keys where one could not hold all of its gradients.
template <class Tile, bool kTangents>
using KeysMemory = BackwardMemory<Tile, false, (kTangents && Tile::D > 64) ? 2 : 1>;

/// gv = p go + (p e) gdo;  gdv = p gdo;  gk = cot(s) q + cot(ds) dq;  gdk = cot(ds) q, over the queries of every head
/// that shares the keys. Rows are keys, columns queries. kTangents: whether the keys have some, and so gdk and gdv.
template <class Tile, bool kTangents>
__global__ void __launch_bounds__(KeysMemory<Tile, kTangents>::kThreads)
    key_gradients(AttentionBackward b, int64_t first_tile) {
  using T = typename Tile::T;
  using Memory = KeysMemory<Tile, kTangents>;
  constexpr int P = Tile::P, kPlanes = kTangents ? 2 : 1, kLd = Tile::kLd, kStream = Tile::kStream,
                kToTangents = kStream * kLd;
  constexpr int kSplit = Memory::kThreads / Tile::kThreads;
  constexpr int kShare = (Tile::kSlabs + kSplit - 1) / kSplit;  // of the gradients' slabs, for one warp
  const AttentionCall& c = b.call;
  const int64_t groups = c.q_heads / c.kv_heads, tile = (first_tile + blockIdx.x) * Tile::kRows;
  const int strip = warp() / kSplit * 16, first_slab = warp() % kSplit * kShare;
  Place at{blockIdx.z, 0, blockIdx.y};
  const int64_t key = tile + strip, keys = c.past + c.tokens,
                end_key = tile + Tile::kRows < keys ? tile + Tile::kRows : keys;
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
        __syncwarp();  // the lanes' ways parted; tensor cores want them together
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
  size_t bytes = 0;  // this kernel asks for the most: it holds all that the others do
  for_tile(type, planes, head_dim,
           [&](auto tile) { bytes = KeysMemory<decltype(tile), decltype(tile)::P == 2>::bytes(); });
  return bytes;
}

void attention_key_gradients(const AttentionBackward& b, Stream stream) {
  const AttentionCall& c = b.call;
  for_tile(c.type, c.planes, c.head_dim, [&](auto tile) {
    using Sizes = decltype(tile);
    const auto tiles = [&](auto tangents, int64_t first, int64_t end) {
      using Memory = KeysMemory<Sizes, tangents()>;
      const dim3 grid(static_cast<unsigned>(end - first), static_cast<unsigned>(c.kv_heads),
                      static_cast<unsigned>(c.batch));
      if (first < end)
        launch("attention_key_gradients", key_gradients<Sizes, tangents()>, {grid, Memory::kThreads, Memory::bytes()},
               stream, b, first);
    };
    const int64_t of_past = c.past / Sizes::kRows, end = divide_up(c.past + c.tokens, Sizes::kRows);
    if (b.gk.past) tiles(std::false_type(), 0, of_past);
    tiles(std::bool_constant<Sizes::P == 2>(), of_past, end);
  });
}

}  // namespace ingrain::ops::cuda
