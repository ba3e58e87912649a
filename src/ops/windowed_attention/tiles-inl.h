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

#include <cmath>
#include <cstring>
#include <limits>

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

template <class T>
void PackKeysAs(const AttentionCall& c, const KeySource& source, const PackedKeys& packed, int64_t head, int64_t block) {
  const int64_t first = block * kTileKeys, n = c.keys_of(block), d = c.head_dim, padded = c.padded();
  HWY_ALIGN float one_row[kMaxHeadDim];
  for (int64_t plane = 0; plane < (c.has_tangent(block) ? 2 : 1); ++plane) {
    float* const rows = packed.rows ? packed.row_block(c, head, plane, block) : nullptr;
    float* const columns = packed.transposed ? packed.transposed_block(c, head, plane, block) : nullptr;
    for (int64_t j = 0; j < kTileKeys; ++j) {
      float* const row = rows ? rows + j * padded : one_row;
      if (j < n && (plane == 0 || first + j >= c.past)) {
        WidenRow(KeyRow<T>(c, source, head, plane, first + j), d, 1, row, padded);
      } else {
        std::fill(row, row + padded, 0.0f);
      }
      if (columns)
        for (int64_t i = 0; i < d; ++i) columns[i * kTileKeys + j] = row[i];
    }
  }
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

/// Outputs of one tile and the statistics of its rows.
template <class T>
void ForwardTileAs(const AttentionTiles& t, int64_t head, int64_t tile, float* scratch, void* o_out, float* lse, float* r) {
  const AttentionCall& c = t.call;
  const int64_t n = c.queries_of(tile), first = tile * c.tile_queries(), d = c.head_dim, padded = c.padded();
  const int64_t rows = c.planes * n, kv_head = head / c.groups();
  const bool dual = c.planes == 2;
  float *const q = scratch, *const o = q + c.tile_floats(), *const s = o + c.tile_floats();
  RowState state[kTileRows];
  WidenTile<T>(c, t.call.q, head, tile, c.scale, q);
  std::fill(o, o + rows * padded, 0.0f);
  for (int64_t block = c.first_key(first) / kTileKeys; block <= c.last_key(first + n - 1) / kTileKeys; ++block) {
    const bool tangent_keys = c.has_tangent(block);
    Product(rows, kTileKeys, d, {q, size_t(padded), 1}, t.k.transposed_block(c, kv_head, 0, block), kTileKeys, s, kTileKeys, false);
    float* const ds = s + n * kTileKeys;
    if (tangent_keys)
      Product(n, kTileKeys, d, {q, size_t(padded), 1}, t.k.transposed_block(c, kv_head, 1, block), kTileKeys, ds, kTileKeys, true);
    for (int64_t i = 0; i < n; ++i) {
      const Visible visible = VisibleKeys(c, first + i, block);
      float *const s_i = s + i * kTileKeys, *const ds_i = dual ? ds + i * kTileKeys : nullptr;
      if (visible.first >= visible.end) {
        std::fill_n(s_i, kTileKeys, 0.0f);
        if (dual) std::fill_n(ds_i, kTileKeys, 0.0f);
        continue;
      }
      HideKeys(s_i, visible);
      SoftmaxRow(s_i, ds_i, state[i], o + i * padded, o + (n + i) * padded, padded);
    }
    Product(rows, padded, kTileKeys, {s, kTileKeys, 1}, t.v.row_block(c, kv_head, 0, block), padded, o, padded, true);
    if (tangent_keys)
      Product(n, padded, kTileKeys, {s, kTileKeys, 1}, t.v.row_block(c, kv_head, 1, block), padded, o + n * padded, padded, true);
  }
  for (int64_t i = 0; i < n; ++i) {
    const float inverse = 1 / state[i].sum, mean_ds = state[i].sum_ds * inverse;
    lse[head * c.tokens + first + i] = state[i].max + std::log(state[i].sum);
    float *const o_i = o + i * padded, *const do_i = o + (n + i) * padded;
    ScaleRow(o_i, padded, inverse);
    NarrowRow(o_i, d, 1, static_cast<T*>(o_out) + RowOffset(c, 0, head, c.q_heads, first + i));
    if (!dual) continue;
    r[head * c.tokens + first + i] = mean_ds;
    for (int64_t j = 0; j < padded; j += Lanes())  // do = (sum p ds v + sum p dv) / sum p - r o
      Store(hn::NegMulAdd(Set(mean_ds), Load(o_i + j), hn::Mul(Load(do_i + j), Set(inverse))), do_i + j);
    NarrowRow(do_i, d, 1, static_cast<T*>(o_out) + RowOffset(c, 1, head, c.q_heads, first + i));
  }
}

// ---- Backward

inline float Dot(const float* a, const float* b, size_t padded) {
  V sum = Zero();
  for (size_t i = 0; i < padded; i += Lanes()) sum = hn::MulAdd(Load(a + i), Load(b + i), sum);
  return Sum(sum);
}

/// Packs a tile's queries and output cotangents, and takes the rows' sums E and C.
template <class T>
void PrepareBackwardAs(const AttentionTiles& t, const void* go, const void* o, int64_t head, int64_t tile, float* scratch) {
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

/// One tile of queries against one block of keys: adds to gq, and where asked for to gk and gv ([plane][key][padded]).
inline void BackwardTile(const AttentionTiles& t, int64_t head, int64_t tile, int64_t block, bool want_keys, float* gq,
                         float* gk, float* gv, float* s, float* gs) {
  const AttentionCall& c = t.call;
  const int64_t n = c.queries_of(tile), first = tile * c.tile_queries(), d = c.head_dim, padded = c.padded();
  const int64_t rows = c.planes * n, kv_head = head / c.groups(), at = head * c.tokens + first;
  const size_t ld = padded, tangent_rows = n * kTileKeys;
  const bool dual = c.planes == 2, tangent_keys = c.has_tangent(block);
  const float *const q = t.q + (head * c.tiles() + tile) * c.tile_floats(), *const go = t.go + (q - t.q);
  Product(rows, kTileKeys, d, {q, ld, 1}, t.k.transposed_block(c, kv_head, 0, block), kTileKeys, s, kTileKeys, false);
  Product(rows, kTileKeys, d, {go, ld, 1}, t.v.transposed_block(c, kv_head, 0, block), kTileKeys, gs, kTileKeys, false);
  if (tangent_keys) {
    Product(n, kTileKeys, d, {q, ld, 1}, t.k.transposed_block(c, kv_head, 1, block), kTileKeys, s + tangent_rows, kTileKeys, true);
    Product(n, kTileKeys, d, {go + n * ld, ld, 1}, t.v.transposed_block(c, kv_head, 1, block), kTileKeys, gs, kTileKeys, true);
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
  Product(rows, padded, kTileKeys, {gs, kTileKeys, 1}, t.k.row_block(c, kv_head, 0, block), padded, gq, padded, true);
  if (tangent_keys)
    Product(n, padded, kTileKeys, {gs + tangent_rows, kTileKeys, 1}, t.k.row_block(c, kv_head, 1, block), padded, gq, padded, true);
  if (!want_keys) return;
  const auto transposed = [](const float* x) { return LeftView{x, 1, kTileKeys}; };
  Product(kTileKeys, padded, rows, transposed(s), go, padded, gv, padded, true);
  Product(kTileKeys, padded, rows, transposed(gs), q, padded, gk, padded, true);
  if (tangent_keys) {
    Product(kTileKeys, padded, n, transposed(s), go + n * ld, padded, gv + kTileKeys * padded, padded, true);
    Product(kTileKeys, padded, n, transposed(gs + tangent_rows), q, padded, gk + kTileKeys * padded, padded, true);
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
template <class T>
void BackwardBlockAs(const AttentionTiles& t, int64_t kv_head, int64_t block, float* gq_of_split, float* scratch,
                     const KeyGradient& k_gradient, const KeyGradient& v_gradient) {
  const AttentionCall& c = t.call;
  const int64_t start = block * kTileKeys, n = c.keys_of(block), sums = c.planes * kTileKeys * c.padded();
  const int64_t first_query = std::max<int64_t>(0, start - c.past);
  const int64_t end_query = std::min(c.tokens, start + n - 1 + c.window - c.past);
  const bool want_keys = k_gradient.past != nullptr || start + n > c.past;
  float *const s = scratch, *const gs = s + kTileRows * kTileKeys, *const gk = gs + kTileRows * kTileKeys, *const gv = gk + sums;
  std::fill(gk, gk + 2 * sums, 0.0f);
  if (first_query < end_query)
    for (int64_t group = 0; group < c.groups(); ++group) {
      const int64_t head = kv_head * c.groups() + group;
      for (int64_t tile = first_query / c.tile_queries(); tile <= (end_query - 1) / c.tile_queries(); ++tile)
        BackwardTile(t, head, tile, block, want_keys, gq_of_split + (head * c.tiles() + tile) * c.tile_floats(), gk, gv, s, gs);
    }
  if (!want_keys) return;
  StoreKeyGradient<T>(c, k_gradient, kv_head, block, gk);
  StoreKeyGradient<T>(c, v_gradient, kv_head, block, gv);
}

/// gq of one tile from the splits' sums.
template <class T>
void StoreQueryGradientAs(const AttentionTiles& t, int64_t splits, int64_t split_floats, int64_t head, int64_t tile, void* gq) {
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
