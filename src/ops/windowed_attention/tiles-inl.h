// Windowed attention, one tile of queries or one block of keys at a time. Per instruction set.
//
// Dual numbers: the rows of a tile are its queries' values, then their tangents, so that a product with k or v is one
// product for both. With s = q k, ds its tangent, p = softmax(s), r = <p, ds>, o = p v, do = (p (ds - r)) v + p dv:
//   C = <gdo, o>,  E = <go, o> + <gdo, do>,  c = gdo v - C,  e = ds - r
//   cot(ds) = p c;   cot(s) = p (go v + gdo dv + c e - E)
// because <p, go v + gdo dv + (gdo v) e - C ds> = E - C r: the rows' sums come from the outputs, in one pass over the keys.
#if defined(INGRAIN_OPS_ATTENTION_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_ATTENTION_TILES_INL_H_
#undef INGRAIN_OPS_ATTENTION_TILES_INL_H_
#else
#define INGRAIN_OPS_ATTENTION_TILES_INL_H_
#endif

#include "ops/cpu/product-inl.h"
#include "ops/windowed_attention/cpu_tiles.h"

#include <hwy/cache_control.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A row of n numbers to fp32, times `scale`, padded with zeros to `padded`.
template <class T>
void WidenRow(const T* from, size_t n, float scale, float* to, size_t padded) {
  for (size_t i = 0; i < n; i += Lanes()) StoreUpTo(hn::Mul(LoadUpTo(from + i, n - i), Set(scale)), to + i, padded - i);
  std::fill(to + n, to + padded, 0.0f);
}
template <class T>
void NarrowRow(const float* from, size_t n, float scale, T* to) {
  for (size_t i = 0; i < n; i += Lanes()) StoreUpTo(hn::Mul(LoadUpTo(from + i, n - i), Set(scale)), to + i, n - i);
}

/// Element offset of a row in a [planes, batch, tokens, heads, head_dim] tensor.
inline int64_t RowOffset(const AttentionCall& c, int64_t plane, int64_t head, int64_t heads, int64_t token) {
  return (((plane * c.batch + head / heads) * c.tokens + token) * heads + head % heads) * c.head_dim;
}

template <class T>
const T* KeyRow(const AttentionCall& c, const KeySource& source, int64_t head, int64_t plane, int64_t key) {
  if (key >= c.past) return static_cast<const T*>(source.now) + RowOffset(c, plane, head, c.kv_heads, key - c.past);
  const int64_t b = head / c.kv_heads, g = head % c.kv_heads;
  return static_cast<const T*>(source.past) + b * source.past_batch_stride + key * source.past_stride + g * c.head_dim;
}

// ---- Packing

/// One block of k or v in fp32, plane by plane; padding and the past's tangent are zero.
struct PackedBlock {
  float* data;
  int64_t plane_floats;
  const float* plane(int64_t p) const { return data + p * plane_floats; }
};

template <class T>
PackedBlock PackRows(const AttentionCall& c, const KeySource& source, int64_t kv_head, int64_t block, float* to) {
  const int64_t first = block * kTileKeys, n = c.keys_of(block), padded = c.padded();
  const PackedBlock packed{to, kTileKeys * padded};
  for (int64_t plane = 0; plane < (c.has_tangent(block) ? 2 : 1); ++plane)
    for (int64_t j = 0; j < kTileKeys; ++j) {
      float* const row = to + plane * packed.plane_floats + j * padded;
      if (j + 8 < n) {  // rows of one head lie apart: no hardware prefetch finds them
        const T* const later = KeyRow<T>(c, source, kv_head, first + j + 8 < c.past ? 0 : plane, first + j + 8);
        for (int64_t i = 0; i < c.head_dim; i += 64 / int64_t(sizeof(T))) hwy::Prefetch(later + i);
      }
      if (j < n && (plane == 0 || first + j >= c.past)) {
        WidenRow(KeyRow<T>(c, source, kv_head, plane, first + j), c.head_dim, 1, row, padded);
      } else {
        std::fill(row, row + padded, 0.0f);
      }
    }
  return packed;
}

/// rows [kTileKeys][padded] to [head_dim][kTileKeys], in squares that stay in the first-level cache.
inline PackedBlock Transposed(const AttentionCall& c, const PackedBlock& rows, int64_t block, float* to) {
  const PackedBlock packed{to, kTileKeys * c.padded()};
  for (int64_t plane = 0; plane < (c.has_tangent(block) ? 2 : 1); ++plane) {
    const float* const from = rows.plane(plane);
    float* const out = to + plane * packed.plane_floats;
    for (int64_t j0 = 0; j0 < kTileKeys; j0 += 16)
      for (int64_t i = 0; i < c.head_dim; ++i)
        for (int64_t j = j0; j < j0 + 16; ++j) out[i * kTileKeys + j] = from[j * c.padded() + i];
  }
  return packed;
}

/// A tile's rows of a query-shaped tensor: [planes * queries][padded].
template <class T>
void WidenTile(const AttentionCall& c, const void* from, int64_t head, int64_t tile, float scale, float* to) {
  const int64_t n = c.queries_of(tile), first = tile * c.tile_queries();
  for (int64_t row = 0; row < c.planes * n; ++row)
    WidenRow(static_cast<const T*>(from) + RowOffset(c, row / n, head, c.q_heads, first + row % n), c.head_dim, scale,
             to + row * c.padded(), c.padded());
}

// ---- The window

/// Which keys of a block a query sees: [first, end), counted from the block's start.
struct Visible {
  int64_t first, end;
};
inline Visible VisibleKeys(const AttentionCall& c, int64_t query, int64_t block) {
  const int64_t start = block * kTileKeys;
  return {std::clamp<int64_t>(c.first_key(query) - start, 0, kTileKeys),
          std::clamp<int64_t>(c.last_key(query) + 1 - start, 0, kTileKeys)};
}
inline void HideKeys(float* scores, Visible v) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  std::fill(scores, scores + v.first, kHidden);
  std::fill(scores + v.end, scores + kTileKeys, kHidden);
}

// ---- Forward

struct RowState {
  float max = -std::numeric_limits<float>::infinity(), sum = 0, sum_ds = 0;
};

inline void ScaleRow(float* row, size_t n, float factor) {
  for (size_t i = 0; i < n; i += Lanes()) Store(hn::Mul(Load(row + i), Set(factor)), row + i);
}

/// Scores to unnormalized p (and ds to p ds); raises the running maximum, rescaling what was summed so far.
inline void SoftmaxRow(float* s, float* ds, RowState& state, float* o, float* tangent_o, size_t padded) {
  V max = Set(state.max);
  for (int64_t j = 0; j < kTileKeys; j += Lanes()) max = hn::Max(max, Load(s + j));
  const float m = Max(max);
  if (m > state.max) {
    const float shrink = std::exp(state.max - m);
    state = {m, state.sum * shrink, state.sum_ds * shrink};
    ScaleRow(o, padded, shrink);
    if (ds) ScaleRow(tangent_o, padded, shrink);
  }
  V sum = Zero(), sum_ds = Zero();
  for (int64_t j = 0; j < kTileKeys; j += Lanes()) {
    const V p = Exp(hn::Sub(Load(s + j), Set(state.max)));
    Store(p, s + j);
    sum = hn::Add(sum, p);
    if (!ds) continue;
    const V p_ds = hn::Mul(p, Load(ds + j));
    Store(p_ds, ds + j);
    sum_ds = hn::Add(sum_ds, p_ds);
  }
  state.sum += Sum(sum);
  state.sum_ds += Sum(sum_ds);
}

/// A tile of queries on its way through the keys.
struct ForwardTile {
  int64_t head, first, n;  // queries [first, first + n) of this head
  float *q, *o;            // [planes * n][padded]
  RowState state[kTileRows];
};

/// Adds one block of keys to a tile's outputs. s: [kTileRows][kTileKeys] of scratch.
inline void AddBlock(const AttentionCall& c, ForwardTile& t, int64_t block, const PackedBlock& k_columns,
                     const PackedBlock& v_rows, float* s) {
  const int64_t n = t.n, d = c.head_dim, padded = c.padded(), rows = c.planes * n;
  const size_t ld = padded;
  const bool dual = c.planes == 2, tangent_keys = c.has_tangent(block);
  float* const ds = s + n * kTileKeys;
  Product(rows, kTileKeys, d, {t.q, ld, 1}, k_columns.plane(0), kTileKeys, s, kTileKeys, false);
  if (tangent_keys) Product(n, kTileKeys, d, {t.q, ld, 1}, k_columns.plane(1), kTileKeys, ds, kTileKeys, true);
  for (int64_t i = 0; i < n; ++i) {
    const Visible visible = VisibleKeys(c, t.first + i, block);
    float *const s_i = s + i * kTileKeys, *const ds_i = dual ? ds + i * kTileKeys : nullptr;
    if (visible.first >= visible.end) {
      std::fill_n(s_i, kTileKeys, 0.0f);
      if (dual) std::fill_n(ds_i, kTileKeys, 0.0f);
      continue;
    }
    HideKeys(s_i, visible);
    SoftmaxRow(s_i, ds_i, t.state[i], t.o + i * padded, t.o + (n + i) * padded, padded);
  }
  Product(rows, padded, kTileKeys, {s, kTileKeys, 1}, v_rows.plane(0), padded, t.o, padded, true);
  if (tangent_keys) Product(n, padded, kTileKeys, {s, kTileKeys, 1}, v_rows.plane(1), padded, t.o + n * padded, padded, true);
}

/// Divides by the sums, and writes the outputs and the rows' statistics.
template <class T>
void FinishTile(const AttentionCall& c, const ForwardTile& t, void* o_out, float* lse, float* r) {
  const int64_t padded = c.padded();
  for (int64_t i = 0; i < t.n; ++i) {
    const RowState& state = t.state[i];
    const float inverse = 1 / state.sum, mean_ds = state.sum_ds * inverse;
    float *const o_i = t.o + i * padded, *const do_i = t.o + (t.n + i) * padded;
    lse[t.head * c.tokens + t.first + i] = state.max + std::log(state.sum);
    ScaleRow(o_i, padded, inverse);
    NarrowRow(o_i, c.head_dim, 1, static_cast<T*>(o_out) + RowOffset(c, 0, t.head, c.q_heads, t.first + i));
    if (c.planes == 1) continue;
    r[t.head * c.tokens + t.first + i] = mean_ds;
    for (int64_t j = 0; j < padded; j += Lanes())  // do = (sum p ds v + sum p dv) / sum p - r o
      Store(hn::NegMulAdd(Set(mean_ds), Load(o_i + j), hn::Mul(Load(do_i + j), Set(inverse))), do_i + j);
    NarrowRow(do_i, c.head_dim, 1, static_cast<T*>(o_out) + RowOffset(c, 1, t.head, c.q_heads, t.first + i));
  }
}

/// Some tiles of the heads that share a key: every block of keys is packed once and meets all of them in the cache.
template <class T>
void ForwardItemsAs(const AttentionCall& c, int64_t kv_head, int64_t begin, int64_t end, float* scratch, void* o,
                    float* lse, float* r) {
  float *const s = scratch, *const k_rows = s + kTileRows * kTileKeys, *const k_columns = k_rows + c.block_floats();
  float *const v_rows = k_columns + c.block_floats(), *next = v_rows + c.block_floats();
  std::vector<ForwardTile> tiles(end - begin);
  int64_t first_block = c.blocks(), last_block = 0;
  for (int64_t item = begin; item < end; ++item, next += 2 * c.tile_floats()) {
    const int64_t tile = item % c.tiles();
    ForwardTile& t = tiles[item - begin];
    t.head = kv_head * c.groups() + item / c.tiles(), t.first = tile * c.tile_queries(), t.n = c.queries_of(tile);
    t.q = next, t.o = next + c.tile_floats();
    WidenTile<T>(c, c.q, t.head, tile, c.scale, t.q);
    std::fill_n(t.o, c.planes * t.n * c.padded(), 0.0f);
    first_block = std::min(first_block, c.first_key(t.first) / kTileKeys);
    last_block = std::max(last_block, c.last_key(t.first + t.n - 1) / kTileKeys);
  }
  for (int64_t block = first_block; block <= last_block; ++block) {
    const PackedBlock k = Transposed(c, PackRows<T>(c, c.k, kv_head, block, k_rows), block, k_columns);
    const PackedBlock v = PackRows<T>(c, c.v, kv_head, block, v_rows);
    const int64_t start = block * kTileKeys, last = start + c.keys_of(block) - 1;
    for (ForwardTile& t : tiles)
      if (c.first_key(t.first) <= last && c.last_key(t.first + t.n - 1) >= start) AddBlock(c, t, block, k, v, s);
  }
  for (const ForwardTile& t : tiles) FinishTile<T>(c, t, o, lse, r);
}

// ---- Backward

inline float Dot(const float* a, const float* b, size_t padded) {
  V sum = Zero();
  for (size_t i = 0; i < padded; i += Lanes()) sum = hn::MulAdd(Load(a + i), Load(b + i), sum);
  return Sum(sum);
}

/// Packs a tile's queries and output cotangents, and takes the rows' sums E and C.
template <class T>
void PrepareBackwardAs(const BackwardOperands& t, const void* go, const void* o, int64_t head, int64_t tile, float* scratch) {
  const AttentionCall& c = t.call;
  const int64_t n = c.queries_of(tile), padded = c.padded(), at = head * c.tokens + tile * c.tile_queries();
  const int64_t offset = (head * c.tiles() + tile) * c.tile_floats();
  WidenTile<T>(c, c.q, head, tile, c.scale, t.q + offset);
  WidenTile<T>(c, go, head, tile, 1, t.go + offset);
  WidenTile<T>(c, o, head, tile, 1, scratch);
  for (int64_t i = 0; i < n; ++i) {
    const float *const go_i = t.go + offset + i * padded, *const o_i = scratch + i * padded;
    t.sum[at + i] = Dot(go_i, o_i, padded);
    if (c.planes == 1) continue;
    t.tangent_sum[at + i] = Dot(go_i + n * padded, o_i, padded);
    t.sum[at + i] += Dot(go_i + n * padded, o_i + n * padded, padded);
  }
}

/// In: s and go v. Out, in place: p and cot(s).
inline void BackwardRow(float* s, float* gs, float lse, float E) {
  for (int64_t j = 0; j < kTileKeys; j += Lanes()) {
    const V p = Exp(hn::Sub(Load(s + j), Set(lse)));
    Store(p, s + j);
    Store(hn::Mul(p, hn::Sub(Load(gs + j), Set(E))), gs + j);
  }
}
/// In: s, ds, go v + gdo dv, gdo v. Out, in place: p, p (ds - r), cot(s), cot(ds).
inline void DualBackwardRow(float* s, float* ds, float* gs, float* gds, float lse, float r, float E, float C) {
  for (int64_t j = 0; j < kTileKeys; j += Lanes()) {
    const V p = Exp(hn::Sub(Load(s + j), Set(lse))), e = hn::Sub(Load(ds + j), Set(r));
    const V c = hn::Sub(Load(gds + j), Set(C));
    Store(p, s + j);
    Store(hn::Mul(p, e), ds + j);
    Store(hn::Mul(p, hn::MulAdd(c, e, hn::Sub(Load(gs + j), Set(E)))), gs + j);
    Store(hn::Mul(p, c), gds + j);
  }
}

/// A block of keys as the backward needs it, and the sums of its gradients, [plane][key][padded].
struct BackwardBlock {
  PackedBlock k_rows, k_columns, v_columns;
  float *gk, *gv;  // null where nobody wants them
};

/// One tile of queries against one block of keys: adds to gq, gk and gv. s, gs: [kTileRows][kTileKeys] of scratch.
inline void BackwardTile(const BackwardOperands& t, int64_t head, int64_t tile, int64_t block, const BackwardBlock& keys,
                         float* gq, float* s, float* gs) {
  const AttentionCall& c = t.call;
  const int64_t n = c.queries_of(tile), first = tile * c.tile_queries(), d = c.head_dim, padded = c.padded();
  const int64_t rows = c.planes * n, at = head * c.tokens + first;
  const size_t ld = padded, tangent_rows = n * kTileKeys;
  const bool dual = c.planes == 2, tangent_keys = c.has_tangent(block);
  const float *const q = t.q + (head * c.tiles() + tile) * c.tile_floats(), *const go = t.go + (q - t.q);
  Product(rows, kTileKeys, d, {q, ld, 1}, keys.k_columns.plane(0), kTileKeys, s, kTileKeys, false);
  Product(rows, kTileKeys, d, {go, ld, 1}, keys.v_columns.plane(0), kTileKeys, gs, kTileKeys, false);
  if (tangent_keys) {
    Product(n, kTileKeys, d, {q, ld, 1}, keys.k_columns.plane(1), kTileKeys, s + tangent_rows, kTileKeys, true);
    Product(n, kTileKeys, d, {go + n * ld, ld, 1}, keys.v_columns.plane(1), kTileKeys, gs, kTileKeys, true);
  }
  for (int64_t i = 0; i < n; ++i) {
    float *const s_i = s + i * kTileKeys, *const gs_i = gs + i * kTileKeys;
    HideKeys(s_i, VisibleKeys(c, first + i, block));
    if (dual)
      DualBackwardRow(s_i, s_i + tangent_rows, gs_i, gs_i + tangent_rows, t.lse[at + i], t.r[at + i], t.sum[at + i],
                      t.tangent_sum[at + i]);
    else
      BackwardRow(s_i, gs_i, t.lse[at + i], t.sum[at + i]);
  }
  Product(rows, padded, kTileKeys, {gs, kTileKeys, 1}, keys.k_rows.plane(0), padded, gq, padded, true);
  if (tangent_keys)
    Product(n, padded, kTileKeys, {gs + tangent_rows, kTileKeys, 1}, keys.k_rows.plane(1), padded, gq, padded, true);
  if (!keys.gk) return;
  const auto transposed = [](const float* x) { return LeftView{x, 1, kTileKeys}; };
  Product(kTileKeys, padded, rows, transposed(s), go, padded, keys.gv, padded, true);
  Product(kTileKeys, padded, rows, transposed(gs), q, padded, keys.gk, padded, true);
  if (tangent_keys) {
    const int64_t plane = kTileKeys * padded;
    Product(kTileKeys, padded, n, transposed(s), go + n * ld, padded, keys.gv + plane, padded, true);
    Product(kTileKeys, padded, n, transposed(gs + tangent_rows), q, padded, keys.gk + plane, padded, true);
  }
}

template <class T>
void StoreKeyGradient(const AttentionCall& c, const KeyGradient& g, int64_t head, int64_t block, const float* sums) {
  for (int64_t j = 0; j < c.keys_of(block); ++j) {
    const int64_t key = block * kTileKeys + j;
    const float* const row = sums + j * c.padded();
    if (key >= c.past) {
      for (int64_t plane = 0; plane < c.planes; ++plane)
        NarrowRow(row + plane * kTileKeys * c.padded(), c.head_dim, 1,
                  static_cast<T*>(g.now) + RowOffset(c, plane, head, c.kv_heads, key - c.past));
    } else if (g.past) {
      const int64_t b = head / c.kv_heads, h = head % c.kv_heads;
      NarrowRow(row, c.head_dim, 1, static_cast<T*>(g.past) + b * g.past_batch_stride + (key * c.kv_heads + h) * c.head_dim);
    }
  }
}

/// All queries that see some of the block's keys: gradients of those keys, and the keys' part of gq.
/// scratch: 2 tiles of scores, then 5 blocks.
template <class T>
void BackwardBlockAs(const BackwardOperands& t, int64_t kv_head, int64_t block, float* gq_of_split, float* scratch,
                     const KeyGradient& k_gradient, const KeyGradient& v_gradient) {
  const AttentionCall& c = t.call;
  const int64_t start = block * kTileKeys, n = c.keys_of(block);
  const int64_t first_query = std::max<int64_t>(0, start - c.past);
  const int64_t end_query = std::min(c.tokens, start + n - 1 + c.window - c.past);
  if (first_query >= end_query) return;
  float *const s = scratch, *const gs = s + kTileRows * kTileKeys, *const blocks = gs + kTileRows * kTileKeys;
  const auto room = [&](int64_t i) { return blocks + i * c.block_floats(); };
  const bool want_keys = k_gradient.past != nullptr || start + n > c.past;
  BackwardBlock keys;
  keys.v_columns = Transposed(c, PackRows<T>(c, c.v, kv_head, block, room(0)), block, room(1));
  keys.k_rows = PackRows<T>(c, c.k, kv_head, block, room(0));
  keys.k_columns = Transposed(c, keys.k_rows, block, room(2));
  keys.gk = want_keys ? room(3) : nullptr;
  keys.gv = want_keys ? room(4) : nullptr;
  if (want_keys) std::fill(room(3), room(5), 0.0f);
  for (int64_t group = 0; group < c.groups(); ++group) {
    const int64_t head = kv_head * c.groups() + group;
    for (int64_t tile = first_query / c.tile_queries(); tile <= (end_query - 1) / c.tile_queries(); ++tile)
      BackwardTile(t, head, tile, block, keys, gq_of_split + (head * c.tiles() + tile) * c.tile_floats(), s, gs);
  }
  if (!want_keys) return;
  StoreKeyGradient<T>(c, k_gradient, kv_head, block, keys.gk);
  StoreKeyGradient<T>(c, v_gradient, kv_head, block, keys.gv);
}

/// gq of one tile from the splits' sums.
template <class T>
void StoreQueryGradientAs(const BackwardOperands& t, int64_t splits, int64_t split_floats, int64_t head, int64_t tile, void* gq) {
  const AttentionCall& c = t.call;
  const int64_t n = c.queries_of(tile), padded = c.padded(), first = tile * c.tile_queries();
  float* const sum = t.gq + (head * c.tiles() + tile) * c.tile_floats();
  for (int64_t split = 1; split < splits; ++split)
    for (int64_t i = 0; i < c.planes * n * padded; i += Lanes())
      Store(hn::Add(Load(sum + i), Load(sum + split * split_floats + i)), sum + i);
  for (int64_t row = 0; row < c.planes * n; ++row)
    NarrowRow(sum + row * padded, c.head_dim, c.scale,
              static_cast<T*>(gq) + RowOffset(c, row / n, head, c.q_heads, first + row % n));
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
