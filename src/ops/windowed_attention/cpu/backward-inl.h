// Windowed attention backward, one block of keys at a time. Per instruction set.
//
// Dual numbers: the rows of a tile are its queries' values, then their tangents, so that a product with k or v is one
// product for both. With s = q k, ds its tangent, p = softmax(s), r = <p, ds>, o = p v, do = (p (ds - r)) v + p dv:
//   C = <gdo, o>,  E = <go, o> + <gdo, do>,  c = gdo v - C,  e = ds - r
//   cot(ds) = p c;   cot(s) = p (go v + gdo dv + c e - E)
// because <p, go v + gdo dv + (gdo v) e - C ds> = E - C r: the rows' sums come from the outputs, in one pass over the
// keys.
#if defined(INGRAIN_OPS_ATTENTION_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_ATTENTION_BACKWARD_INL_H_
#undef INGRAIN_OPS_ATTENTION_BACKWARD_INL_H_
#else
#define INGRAIN_OPS_ATTENTION_BACKWARD_INL_H_
#endif

#include "ops/windowed_attention/cpu/operands-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A tile's queries or output cotangents: [planes][plane_rows][padded], and once more as right operand of sums over
/// rows.
template <class E>
struct TileOperand {
  E *rows, *over_rows;
  TileOperand(const TiledCall& c, float* tile) : rows(reinterpret_cast<E*>(tile)), over_rows(rows) {
    if (!std::is_same_v<E, float>) over_rows += kTileRows * c.padded();
  }
};
/// A plane's rows: its queries, and as many zeros as make the groups whole.
template <class E>
int64_t PlaneRows(const TiledCall& c, int64_t tile) {
  return (c.queries_of(tile) + kGroup<E> - 1) / kGroup<E> * kGroup<E>;
}

template <class T>
float Dot(const T* a, const T* b, size_t n) {
  V sum = Zero();
  for (size_t i = 0; i < n; i += Lanes()) sum = hn::MulAdd(LoadUpTo(a + i, n - i), LoadUpTo(b + i, n - i), sum);
  return Sum(sum);
}

/// Copies a tile's queries and output cotangents, and takes the rows' sums E and C.
template <class T>
void PrepareBackwardAs(const BackwardOperands& t, const void* go, const void* o, int64_t head, int64_t tile) {
  using E = Element<T>;
  const TiledCall& c = t.call;
  const int64_t n = c.queries_of(tile), first = tile * c.tile_queries(), rows = PlaneRows<E>(c, tile);
  const int64_t offset = (head * c.tiles() + tile) * c.tile_floats();
  const TileOperand<E> q(c, t.q + offset), cotangent(c, t.go + offset);
  MakeTile<T>(c, c.q, head, tile, QueryScale<E>(c), rows, q.rows);
  MakeTile<T>(c, go, head, tile, 1, rows, cotangent.rows);
  OverRows(q.rows, c.planes * rows, c.padded(), q.over_rows);
  OverRows(cotangent.rows, c.planes * rows, c.padded(), cotangent.over_rows);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = head * c.tokens + first + i;
    const auto dot = [&](int64_t go_plane, int64_t o_plane) {
      return Dot(static_cast<const T*>(go) + RowOffset(c, go_plane, head, c.q_heads, first + i),
                 static_cast<const T*>(o) + RowOffset(c, o_plane, head, c.q_heads, first + i), c.head_dim);
    };
    t.sum[at] = dot(0, 0);
    if (c.planes == 1) continue;
    t.tangent_sum[at] = dot(1, 0);
    t.sum[at] += dot(1, 1);
  }
}

/// Scores and their cotangents of one tile with a block of keys, and what the products with them need, as E.
template <class E>
struct BackwardScratch {
  float *s, *gs;        // [planes * plane_rows][kTileKeys]
  E *p, *gs_over_rows;  // left operands of sums over rows: [rows / group][kTileKeys][group]
  E* gs_rows;           // left operand of sums over keys; in fp32 all are s and gs themselves
  explicit BackwardScratch(float* room)
      : s(room),
        gs(s + kScores),
        p(reinterpret_cast<E*>(s)),
        gs_over_rows(reinterpret_cast<E*>(gs)),
        gs_rows(gs_over_rows) {
    if (std::is_same_v<E, float>) return;
    p = reinterpret_cast<E*>(gs + kScores), gs_over_rows = p + kScores, gs_rows = gs_over_rows + kScores;
  }

 private:
  static constexpr int64_t kScores = kTileRows * kTileKeys;
};

/// As many rows as a group has, of one vector: to rows `kTileKeys` apart, and interleaved.
HWY_INLINE void StoreGroup(const V (&x)[1], float* over_rows) { Store(x[0], over_rows); }
HWY_INLINE void StoreGroup(const V (&x)[1], float* over_rows, float*) { Store(x[0], over_rows); }
HWY_INLINE void StoreGroup(const V (&x)[2], BFloat16* over_rows) { StorePairs(ToBf16(x[0]), ToBf16(x[1]), over_rows); }
HWY_INLINE void StoreGroup(const V (&x)[2], BFloat16* over_rows, BFloat16* rows) {
  const auto x0 = ToBf16(x[0]), x1 = ToBf16(x[1]);
  hn::StoreU(x0, D16(), reinterpret_cast<uint16_t*>(rows));
  hn::StoreU(x1, D16(), reinterpret_cast<uint16_t*>(rows + kTileKeys));
  StorePairs(x0, x1, over_rows);
}

/// What a query's scores need of its statistics.
struct BackwardRow {
  float lse, r, E, C;
};

/// A group of rows. s and go v become p and cot(s).
template <class E>
void CotangentsOfGroup(Visible columns, int64_t row, const BackwardRow* of, float scale, const BackwardScratch<E>& x) {
  const int64_t at = row * kTileKeys;
  for (int64_t j = columns.first; j < columns.end; j += Lanes()) {
    V p[kGroup<E>], gs[kGroup<E>];
    for (int64_t i = 0; i < kGroup<E>; ++i) {
      const int64_t k = at + i * kTileKeys + j;
      p[i] = Probability<E>(Load(x.s + k), Set(scale * kExponentUnit<E>), Set(of[i].lse * kExponentUnit<E>));
      gs[i] = hn::Mul(p[i], hn::Sub(Load(x.gs + k), Set(of[i].E)));
    }
    StoreGroup(p, x.p + at + j * kGroup<E>);
    StoreGroup(gs, x.gs_over_rows + at + j * kGroup<E>, x.gs_rows + at + j);
  }
}
/// s, ds, go v + gdo dv and gdo v become p, p (ds - r), cot(s) and cot(ds); tangents lie `plane` numbers after their
/// values.
template <class E>
void DualCotangentsOfGroup(Visible columns, int64_t row, const BackwardRow* of, float scale, int64_t plane,
                           const BackwardScratch<E>& x) {
  const int64_t at = row * kTileKeys;
  for (int64_t j = columns.first; j < columns.end; j += Lanes()) {
    V p[kGroup<E>], p_e[kGroup<E>], gs[kGroup<E>], gds[kGroup<E>];
    for (int64_t i = 0; i < kGroup<E>; ++i) {
      const int64_t k = at + i * kTileKeys + j;
      p[i] = Probability<E>(Load(x.s + k), Set(scale * kExponentUnit<E>), Set(of[i].lse * kExponentUnit<E>));
      const V e = hn::MulSub(Load(x.s + plane + k), Set(scale), Set(of[i].r)),
              c = hn::Sub(Load(x.gs + plane + k), Set(of[i].C));
      p_e[i] = hn::Mul(p[i], e);
      gs[i] = hn::Mul(p[i], hn::MulAdd(c, e, hn::Sub(Load(x.gs + k), Set(of[i].E))));
      gds[i] = hn::Mul(p[i], c);
    }
    const int64_t over_rows = at + j * kGroup<E>;
    StoreGroup(p, x.p + over_rows);
    StoreGroup(p_e, x.p + plane + over_rows);
    StoreGroup(gs, x.gs_over_rows + over_rows, x.gs_rows + at + j);
    StoreGroup(gds, x.gs_over_rows + plane + over_rows, x.gs_rows + plane + at + j);
  }
}

/// A block of keys as the backward needs it, and the sums of its gradients, [plane][key][padded].
template <class E>
struct BackwardBlock {
  TileBlock<E> k_over_keys, k_over_dim, v_over_dim;
  float *gk, *gv;  // null where nobody wants them
};

/// Queries [begin, end) of a tile, and a block of keys.
template <class E>
struct BackwardStrip {
  const BackwardOperands& t;
  int64_t head, tile, begin, end, block;
  const E *q, *go;  // the tile's
  float* gq;

  const TiledCall& c = t.call;
  int64_t first = tile * c.tile_queries(), n = c.queries_of(tile);  // of the tile
  int64_t rows = end - begin, plane_rows = PlaneRows<E>(c, tile), plane = plane_rows * kTileKeys;
  bool dual = c.planes == 2, tangent_keys = c.has_tangent(block);
  Visible columns = VisibleColumns<E>(c, first + begin, first + std::min(end, n), block);  // that the strip sees
};

/// Columns from .. to, which the strip does not see, but the tile does.
template <class E>
void ClearColumns(const BackwardStrip<E>& s, int64_t from, int64_t to, const BackwardScratch<E>& x) {
  if (from >= to) return;
  for (int64_t row = s.begin; row < s.end; row += kGroup<E>)
    for (int64_t p = 0; p < s.c.planes; ++p) {
      const int64_t at = p * s.plane + row * kTileKeys;
      std::fill(x.p + at + from * kGroup<E>, x.p + at + to * kGroup<E>, E(0.0f));
      std::fill(x.gs_over_rows + at + from * kGroup<E>, x.gs_over_rows + at + to * kGroup<E>, E(0.0f));
    }
}

/// Scores, and what the output's cotangents give with v, become p and the scores' cotangents.
template <class E>
void CotangentsOfStrip(const BackwardStrip<E>& s, const BackwardScratch<E>& x) {
  for (int64_t row = s.begin; row < s.end; row += kGroup<E>) {
    BackwardRow of[kGroup<E>] = {};
    for (int64_t i = 0; i < kGroup<E>; ++i) {
      float* const scores = x.s + (row + i) * kTileKeys;
      if (row + i >= s.n) {  // fills up the group
        std::fill(scores + s.columns.first, scores + s.columns.end, -std::numeric_limits<float>::infinity());
        continue;
      }
      const int64_t query = s.head * s.c.tokens + s.first + row + i;
      HideKeys(scores, VisibleKeys(s.c, s.first + row + i, s.block), s.columns);
      of[i] = {s.t.lse[query], s.dual ? s.t.r[query] : 0, s.t.sum[query], s.dual ? s.t.tangent_sum[query] : 0};
    }
    if (s.dual)
      DualCotangentsOfGroup(s.columns, row, of, ScoreScale<E>(s.c), s.plane, x);
    else
      CotangentsOfGroup(s.columns, row, of, ScoreScale<E>(s.c), x);
  }
}

/// p and the scores' cotangents of a strip, and their part of gq. `all`: the columns that the tile sees.
template <class E>
void PassStrip(const BackwardStrip<E>& s, Visible all, const BackwardBlock<E>& keys, const BackwardScratch<E>& x) {
  ClearColumns(s, all.first, s.columns.any() ? s.columns.first : all.end, x);
  if (!s.columns.any()) return;
  ClearColumns(s, s.columns.end, all.end, x);
  const int64_t padded = s.c.padded(), at = s.columns.first, width = s.columns.end - s.columns.first;
  const auto add_scores = [&](const E* left, int64_t left_plane, const TileBlock<E>& right, int64_t right_plane,
                              float* to, bool add) {
    Product(s.rows, width, s.c.head_dim,
            LeftView<E>{left + (left_plane * s.plane_rows + s.begin) * padded, size_t(padded), kGroup<E>},
            right.plane(right_plane) + at * kGroup<E>, kTileKeys * kGroup<E>, to + s.begin * kTileKeys + at, kTileKeys,
            add);
  };
  add_scores(s.q, 0, keys.k_over_dim, 0, x.s, false);
  add_scores(s.go, 0, keys.v_over_dim, 0, x.gs, false);
  if (s.dual) {
    add_scores(s.q, 1, keys.k_over_dim, 0, x.s + s.plane, false);
    add_scores(s.go, 1, keys.v_over_dim, 0, x.gs + s.plane, false);
  }
  if (s.tangent_keys) {
    add_scores(s.q, 0, keys.k_over_dim, 1, x.s + s.plane, true);
    add_scores(s.go, 1, keys.v_over_dim, 1, x.gs, true);
  }
  CotangentsOfStrip(s, x);
  const auto add_query_gradient = [&](int64_t left_plane, int64_t right_plane, int64_t to_plane) {
    Product(s.rows, padded, width,
            LeftView<E>{x.gs_rows + left_plane * s.plane + s.begin * kTileKeys + at, kTileKeys, kGroup<E>},
            keys.k_over_keys.plane(right_plane) + at * padded, padded * kGroup<E>,
            s.gq + (to_plane * s.plane_rows + s.begin) * padded, padded, true);
  };
  add_query_gradient(0, 0, 0);
  if (s.dual) add_query_gradient(1, 0, 1);
  if (s.tangent_keys) add_query_gradient(1, 1, 0);
}

/// One tile of queries against one block of keys: adds to gq, gk and gv.
template <class E>
void BackwardTile(const BackwardOperands& t, int64_t head, int64_t tile, int64_t block, const BackwardBlock<E>& keys,
                  float* gq, const BackwardScratch<E>& x) {
  const TiledCall& c = t.call;
  const int64_t first = tile * c.tile_queries(), padded = c.padded(), plane_rows = PlaneRows<E>(c, tile);
  const int64_t offset = (head * c.tiles() + tile) * c.tile_floats();
  const TileOperand<E> q(c, t.q + offset), go(c, t.go + offset);
  const Visible all = VisibleColumns<E>(c, first, first + c.queries_of(tile), block);
  if (!all.any()) return;
  const int64_t strip = StripOf<E>().queries;
  for (int64_t begin = 0; begin < plane_rows; begin += strip)
    PassStrip(BackwardStrip<E>{t, head, tile, begin, std::min(begin + strip, plane_rows), block, q.rows, go.rows, gq},
              all, keys, x);
  if (!keys.gk) return;
  const auto add_key_gradient = [&](const E* scores, int64_t plane, int64_t rows, const E* right, int64_t right_plane,
                                    float* to) {
    Product(
        all.end - all.first, padded, rows,
        LeftView<E>{scores + plane * plane_rows * kTileKeys + all.first * kGroup<E>, kGroup<E>, kTileKeys * kGroup<E>},
        right + right_plane * plane_rows * padded, padded * kGroup<E>, to + all.first * padded, padded, true);
  };
  add_key_gradient(x.p, 0, c.planes * plane_rows, go.over_rows, 0, keys.gv);
  add_key_gradient(x.gs_over_rows, 0, c.planes * plane_rows, q.over_rows, 0, keys.gk);
  if (!c.has_tangent(block)) return;
  const int64_t tangents = kTileKeys * padded;
  add_key_gradient(x.p, 0, plane_rows, go.over_rows, 1, keys.gv + tangents);
  add_key_gradient(x.gs_over_rows, 1, plane_rows, q.over_rows, 0, keys.gk + tangents);
}

template <class T>
void StoreKeyGradient(const TiledCall& c, const KeyGradient& g, int64_t head, int64_t block, float scale,
                      const float* sums) {
  for (int64_t j = 0; j < c.keys_of(block); ++j) {
    const int64_t key = block * kTileKeys + j;
    const float* const row = sums + j * c.padded();
    if (key >= c.past) {
      for (int64_t plane = 0; plane < c.planes; ++plane)
        NarrowRow(row + plane * kTileKeys * c.padded(), c.head_dim, scale,
                  static_cast<T*>(g.now) + RowOffset(c, plane, head, c.kv_heads, key - c.past));
    } else if (g.past) {
      const int64_t b = head / c.kv_heads, h = head % c.kv_heads;
      NarrowRow(row, c.head_dim, scale,
                static_cast<T*>(g.past) + b * g.past_batch_stride + (key * c.kv_heads + h) * c.head_dim);
    }
  }
}

/// All queries that see some of the block's keys: gradients of those keys, and the keys' part of gq.
/// scratch: 4 tiles of scores, then 5 blocks.
template <class T>
void BackwardBlockAs(const BackwardOperands& t, int64_t kv_head, int64_t block, float* gq_of_split, float* scratch,
                     const KeyGradient& k_gradient, const KeyGradient& v_gradient) {
  using E = Element<T>;
  const TiledCall& c = t.call;
  const int64_t start = block * kTileKeys, n = c.keys_of(block);
  const int64_t first_query = std::max<int64_t>(0, start - c.past);
  const int64_t end_query = std::min(c.tokens, start + n - 1 + c.window - c.past);
  if (first_query >= end_query) return;
  const BackwardScratch<E> scores(scratch);
  const AmxTiles tiles_of_this_thread;
  const auto room = [&](int64_t i) { return scratch + 4 * kTileRows * kTileKeys + i * c.block_floats(); };
  const auto operand = [&](int64_t i) { return reinterpret_cast<E*>(room(i)); };
  const bool want_keys = k_gradient.past != nullptr || start + n > c.past;
  BackwardBlock<E> keys;
  keys.v_over_dim = OverDim(c, TileRows<T>(c, c.v, kv_head, block, operand(0)), block, operand(1));
  const auto k_rows = TileRows<T>(c, c.k, kv_head, block, operand(0));
  keys.k_over_dim = OverDim(c, k_rows, block, operand(2));
  keys.k_over_keys = OverKeys(c, k_rows, block, operand(0) + c.block_floats());  // bf16 rows take half the room
  keys.gk = want_keys ? room(3) : nullptr;
  keys.gv = want_keys ? room(4) : nullptr;
  if (want_keys) std::fill(room(3), room(5), 0.0f);
  for (int64_t group = 0; group < c.groups(); ++group) {
    const int64_t head = kv_head * c.groups() + group;
    for (int64_t tile = first_query / c.tile_queries(); tile <= (end_query - 1) / c.tile_queries(); ++tile)
      BackwardTile(t, head, tile, block, keys, gq_of_split + (head * c.tiles() + tile) * c.tile_floats(), scores);
  }
  if (!want_keys) return;
  StoreKeyGradient<T>(c, k_gradient, kv_head, block, ScoreScale<E>(c), keys.gk);
  StoreKeyGradient<T>(c, v_gradient, kv_head, block, 1, keys.gv);
}

/// gq of one tile from the splits' sums.
template <class T>
void StoreQueryGradientAs(const BackwardOperands& t, int64_t splits, int64_t split_floats, int64_t head, int64_t tile,
                          void* gq) {
  const TiledCall& c = t.call;
  const int64_t n = c.queries_of(tile), padded = c.padded(), first = tile * c.tile_queries();
  const int64_t plane_rows = PlaneRows<Element<T>>(c, tile);
  float* const sum = t.gq + (head * c.tiles() + tile) * c.tile_floats();
  for (int64_t split = 1; split < splits; ++split)
    for (int64_t i = 0; i < c.planes * plane_rows * padded; i += Lanes())
      Store(hn::Add(Load(sum + i), Load(sum + split * split_floats + i)), sum + i);
  for (int64_t plane = 0; plane < c.planes; ++plane)
    for (int64_t i = 0; i < n; ++i)
      NarrowRow(sum + (plane * plane_rows + i) * padded, c.head_dim, c.scale,
                static_cast<T*>(gq) + RowOffset(c, plane, head, c.q_heads, first + i));
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
