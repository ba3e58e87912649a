// Windowed attention forward, one tile of queries at a time. Per instruction set.
// Dual numbers: a tile's rows are its queries' values, then their tangents; with s = q k, ds its tangent, p =
// softmax(s):
//   r = <p, ds>,  o = p v,  do = (p (ds - r)) v + p dv
#if defined(INGRAIN_OPS_ATTENTION_FORWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_ATTENTION_FORWARD_INL_H_
#undef INGRAIN_OPS_ATTENTION_FORWARD_INL_H_
#else
#define INGRAIN_OPS_ATTENTION_FORWARD_INL_H_
#endif

#include "ops/windowed_attention/cpu/operands-inl.h"

#include <cmath>
#include <utility>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// Of one query, so far. Sums over the keys, lane by lane: of p and p ds, and of p ds as the product with v sees it,
/// rounded to E. do takes the last one times o off that product, so that what cancels does, whatever the rounding.
struct RowState {
  float max = -std::numeric_limits<float>::infinity();
  float p[kPad] = {}, p_ds[kPad] = {}, rounded_p_ds[kPad] = {};
};

/// A larger maximum: rescales what was summed so far.
inline void RaiseMax(float max, RowState& state, float* o, float* tangent_o, size_t padded) {
  if (!(max > state.max)) return;
  const float shrink = std::exp(state.max - max);
  state.max = max;
  ScaleRow(state.p, kPad, shrink);
  ScaleRow(o, padded, shrink);
  if (!tangent_o) return;
  ScaleRow(state.p_ds, kPad, shrink);
  ScaleRow(state.rounded_p_ds, kPad, shrink);
  ScaleRow(tangent_o, padded, shrink);
}

/// Scores, times `scale`, to unnormalized p (and ds to p ds, where there is a tangent_o).
template <class E>
void SoftmaxRow(Visible columns, const float* s, const float* ds, float scale, E* p, E* p_ds, RowState& state, float* o,
                float* tangent_o, size_t padded) {
  V max = Load(s + columns.first);
  for (int64_t j = columns.first + Lanes(); j < columns.end; j += Lanes()) max = hn::Max(max, Load(s + j));
  if (!hn::AllTrue(D(), hn::Le(hn::Mul(max, Set(scale)), Set(state.max))))
    RaiseMax(Max(max) * scale, state, o, tangent_o, padded);
  const V unit_scale = Set(scale * kExponentUnit<E>), shift = Set(state.max * kExponentUnit<E>);
  V sum = Load(state.p), sum_ds = Load(state.p_ds), sum_rounded = Load(state.rounded_p_ds);
  for (int64_t j = columns.first; j < columns.end; j += Lanes()) {
    const V p_j = Probability<E>(Load(s + j), unit_scale, shift);
    Store(p_j, p + j);
    sum = hn::Add(sum, p_j);
    if (!tangent_o) continue;
    const V p_ds_j = hn::Mul(p_j, hn::Mul(Load(ds + j), Set(scale)));
    Store(p_ds_j, p_ds + j);
    sum_ds = hn::Add(sum_ds, p_ds_j);
    sum_rounded = hn::Add(sum_rounded, Rounded<E>(p_ds_j));
  }
  Store(sum, state.p);
  if (!tangent_o) return;
  Store(sum_ds, state.p_ds);
  Store(sum_rounded, state.rounded_p_ds);
}

/// A tile of queries on its way through the keys.
template <class E>
struct ForwardTile {
  int64_t head, first, n;  // queries [first, first + n) of this head
  E* q;                    // [planes * n][padded]
  float* o;                // like q
  RowState state[kTileRows];
};

/// Scores of some queries with a block of keys, and p and p ds, which the products with v need as E.
template <class E>
struct ForwardScratch {
  float *s, *ds;  // [a strip's queries][kTileKeys]
  E *p, *p_ds;    // like them; in fp32 the same memory
  explicit ForwardScratch(float* room)
      : s(room), ds(s + kStripScores), p(reinterpret_cast<E*>(s)), p_ds(reinterpret_cast<E*>(ds)) {
    if (!std::is_same_v<E, float>) p = reinterpret_cast<E*>(ds + kStripScores), p_ds = p + kStripScores;
  }
};

/// Adds one block of keys to the outputs of queries [begin, end) of a tile.
template <class E>
void AddBlock(const TiledCall& c, ForwardTile<E>& t, int64_t begin, int64_t end, int64_t block,
              const TileBlock<E>& k_over_dim, const TileBlock<E>& v_over_keys, const ForwardScratch<E>& x) {
  const Visible columns = VisibleColumns<E>(c, t.first + begin, t.first + end, block);
  if (!columns.any()) return;
  const int64_t padded = c.padded(), rows = end - begin, at = columns.first, width = columns.end - columns.first;
  const bool dual = c.planes == 2, tangent_keys = c.has_tangent(block);
  const E *const q = t.q + begin * padded, *const dq = q + t.n * padded;
  float *const o = t.o + begin * padded, *const tangent_o = o + t.n * padded;
  const auto add_scores = [&](const E* queries, int64_t plane, float* scores, bool add) {
    Product(rows, width, c.head_dim, LeftView<E>{queries, size_t(padded), kGroup<E>},
            k_over_dim.plane(plane) + at * kGroup<E>, kTileKeys * kGroup<E>, scores + at, kTileKeys, add);
  };
  add_scores(q, 0, x.s, false);
  if (dual) add_scores(dq, 0, x.ds, false);
  if (tangent_keys) add_scores(q, 1, x.ds, true);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t row = i * kTileKeys;
    const Visible visible = VisibleKeys(c, t.first + begin + i, block);
    if (!visible.any()) {
      std::fill(x.p + row + at, x.p + row + columns.end, E(0.0f));
      if (dual) std::fill(x.p_ds + row + at, x.p_ds + row + columns.end, E(0.0f));
      continue;
    }
    HideKeys(x.s + row, visible, columns);
    SoftmaxRow(columns, x.s + row, x.ds + row, ScoreScale<E>(c), x.p + row, x.p_ds + row, t.state[begin + i],
               o + i * padded, dual ? tangent_o + i * padded : nullptr, padded);
  }
  const auto add_values = [&](const E* p, int64_t plane, float* to) {
    Product(rows, padded, width, LeftView<E>{p + at, kTileKeys, kGroup<E>}, v_over_keys.plane(plane) + at * padded,
            padded * kGroup<E>, to, padded, true);
  };
  add_values(x.p, 0, o);
  if (dual) add_values(x.p_ds, 0, tangent_o);
  if (tangent_keys) add_values(x.p, 1, tangent_o);
}

/// Divides by the sums, and writes the outputs and the rows' statistics.
template <class T, class E>
void FinishTile(const TiledCall& c, const ForwardTile<E>& t, void* o_out, float* lse, float* r) {
  const int64_t padded = c.padded();
  for (int64_t i = 0; i < t.n; ++i) {
    const RowState& state = t.state[i];
    const float sum = Sum(Load(state.p)), inverse = 1 / sum, mean_rounded_ds = Sum(Load(state.rounded_p_ds)) * inverse;
    float *const o_i = t.o + i * padded, *const do_i = t.o + (t.n + i) * padded;
    lse[t.head * c.tokens + t.first + i] = state.max + std::log(sum);
    ScaleRow(o_i, padded, inverse);
    NarrowRow(o_i, c.head_dim, 1, static_cast<T*>(o_out) + RowOffset(c, 0, t.head, c.q_heads, t.first + i));
    if (c.planes == 1) continue;
    r[t.head * c.tokens + t.first + i] = Sum(Load(state.p_ds)) * inverse;
    for (int64_t j = 0; j < padded; j += Lanes())  // do = (sum p ds v + sum p dv) / sum p - r o
      Store(hn::NegMulAdd(Set(mean_rounded_ds), Load(o_i + j), hn::Mul(Load(do_i + j), Set(inverse))), do_i + j);
    NarrowRow(do_i, c.head_dim, 1, static_cast<T*>(o_out) + RowOffset(c, 1, t.head, c.q_heads, t.first + i));
  }
}

/// Some tiles of the heads that share a key: every block of keys is tiled once and meets all of them in the cache.
/// scratch: kForwardScores, 3 blocks, then for every tile its queries and outputs.
template <class T>
void ForwardItemsAs(const TiledCall& c, int64_t kv_head, int64_t begin, int64_t end, float* scratch, void* o,
                    float* lse, float* r) {
  using E = Element<T>;
  const ForwardScratch<E> scores(scratch);
  float* next = scratch + kForwardScores;
  const auto block_room = [&] { return reinterpret_cast<E*>(std::exchange(next, next + c.block_floats())); };
  E *const rows = block_room(), *const k_room = block_room(), *const v_room = block_room();
  std::vector<ForwardTile<E>> tiles(end - begin);
  int64_t first_block = c.blocks(), last_block = 0;
  for (int64_t item = begin; item < end; ++item, next += 2 * c.tile_floats()) {
    const int64_t tile = item % c.tiles();
    ForwardTile<E>& t = tiles[item - begin];
    t.head = kv_head * c.groups() + item / c.tiles(), t.first = tile * c.tile_queries(), t.n = c.queries_of(tile);
    t.q = reinterpret_cast<E*>(next), t.o = next + c.tile_floats();
    MakeTile<T>(c, c.q, t.head, tile, QueryScale<E>(c), t.n, t.q);
    std::fill_n(t.o, c.planes * t.n * c.padded(), 0.0f);
    first_block = std::min(first_block, c.first_key(t.first) / kTileKeys);
    last_block = std::max(last_block, c.last_key(t.first + t.n - 1) / kTileKeys);
  }
  const AmxTiles tiles_of_this_thread;
  const int64_t strip = StripOf<E>().queries;
  for (int64_t block = first_block; block <= last_block; ++block) {
    const auto k = OverDim(c, TileRows<T>(c, c.k, kv_head, block, rows), block, k_room);
    const auto v = OverKeys(c, TileRows<T>(c, c.v, kv_head, block, rows), block, v_room);
    for (ForwardTile<E>& t : tiles)
      for (int64_t i = 0; i < t.n; i += strip) AddBlock(c, t, i, std::min(i + strip, t.n), block, k, v, scores);
  }
  for (const ForwardTile<E>& t : tiles) FinishTile<T>(c, t, o, lse, r);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
