// Operands of windowed attention's products: blocks of keys and tiles of queries, tiled. Per instruction set.
#if defined(INGRAIN_OPS_ATTENTION_OPERANDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_ATTENTION_OPERANDS_INL_H_
#undef INGRAIN_OPS_ATTENTION_OPERANDS_INL_H_
#else
#define INGRAIN_OPS_ATTENTION_OPERANDS_INL_H_
#endif

#include "ops/simd/prefetch.h"
#include "ops/simd/product-inl.h"
#include "ops/simd/transpose-inl.h"
#include "ops/windowed_attention/cpu/tiles.h"
#include "ops/windowed_attention/cpu/rows-inl.h"

#include <cstring>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// What the products of a call in T are made of: bf16 where the processor multiplies it, else everything in fp32.
/// Scores and sums are fp32, p and the scores' cotangents are rounded to E before their products.
template <class T>
using Element = std::conditional_t<INGRAIN_NATIVE_BF16 != 0, T, float>;

/// The scale goes into fp32 queries; bf16 ones would be rounded by it, so there it goes into the scores.
template <class E>
float QueryScale(const TiledCall& c) {
  return std::is_same_v<E, float> ? c.scale : 1.0f;
}
template <class E>
float ScoreScale(const TiledCall& c) {
  return std::is_same_v<E, float> ? 1.0f : c.scale;
}

/// p = exp(scale s - shift), within what rounding to E leaves of it; scale and shift in the unit of the exponent.
template <class E>
constexpr float kExponentUnit = std::is_same_v<E, float> ? 1.0f : 1.44269504f;
template <class E>
HWY_INLINE V Probability(V s, V scale, V shift) {
  const V x = hn::MulSub(s, scale, shift);
  if constexpr (std::is_same_v<E, float>) {
    return Exp(x);
  } else {
    const V n = hn::Round(x), r = hn::Sub(x, n);
    V y = hn::MulAdd(r, Set(0.009600395f), Set(0.055916894f));  // 2^r within 3e-6
    y = hn::MulAdd(y, r, Set(0.24023719f));
    y = hn::MulAdd(y, r, Set(0.69312197f));
    return ScaledByPower(hn::MulAdd(y, r, Set(1.0f)), n, hn::Not(hn::Lt(x, Set(-126.0f))));
  }
}

/// Element offset of a row in a [planes, batch, tokens, heads, head_dim] tensor.
inline int64_t RowOffset(const TiledCall& c, int64_t plane, int64_t head, int64_t heads, int64_t token) {
  return (((plane * c.batch + head / heads) * c.tokens + token) * heads + head % heads) * c.head_dim;
}

/// Rows of k or v: those of the past, then those at hand.
template <class T>
struct KeyRows {
  const T *old, *now;  // key 0, and the first at hand
  int64_t past, old_stride, stride;
  KeyRows(const TiledCall& c, const KeySource& source, int64_t head, int64_t plane)
      : old(static_cast<const T*>(source.past)),
        now(static_cast<const T*>(source.now) + RowOffset(c, plane, head, c.kv_heads, 0)),
        past(c.past),
        old_stride(source.past_stride),
        stride(c.kv_heads * c.head_dim) {
    if (old) old += head / c.kv_heads * source.past_batch_stride + head % c.kv_heads * c.head_dim;
  }
  const T* operator[](int64_t key) const { return key < past ? old + key * old_stride : now + (key - past) * stride; }
};

// ---- Tiles

/// One block of k or v, plane by plane; padding and the past's tangent are zero.
template <class E>
struct TileBlock {
  E* data;
  int64_t plane_size;
  const E* plane(int64_t p) const { return data + p * plane_size; }
};

constexpr int64_t kRowsAhead = 16;

/// The rows as they are, [kTileKeys][padded].
template <class T, class E>
TileBlock<E> TileRows(const TiledCall& c, const KeySource& source, int64_t kv_head, int64_t block, E* to) {
  const int64_t first = block * kTileKeys, n = c.keys_of(block), padded = c.padded();
  const TileBlock<E> tiled{to, kTileKeys * padded};
  for (int64_t plane = 0; plane < (c.has_tangent(block) ? 2 : 1); ++plane) {
    const KeyRows<T> rows(c, source, kv_head, plane);
    for (int64_t j = 0; j < kTileKeys; ++j) {
      E* const row = to + plane * tiled.plane_size + j * padded;
      if (j + kRowsAhead < n)
        Prefetch<Cache::first>(rows[first + j + kRowsAhead], c.head_dim);  // they lie apart: nobody sees them coming
      if (j < n && (plane == 0 || first + j >= c.past)) {
        TileRow(rows[first + j], c.head_dim, 1, row, padded);
      } else {
        std::fill(row, row + padded, E(0.0f));
      }
    }
  }
  return tiled;
}

/// The right operand of sums over d: [padded / group][kTileKeys][group].
template <class E>
TileBlock<E> OverDim(const TiledCall& c, const TileBlock<E>& rows, int64_t block, E* to) {
  const size_t groups = c.padded() / kGroup<E>;
  for (int64_t plane = 0; plane < (c.has_tangent(block) ? 2 : 1); ++plane)
    Transpose(reinterpret_cast<const uint32_t*>(rows.plane(plane)), groups, kTileKeys, groups,
              reinterpret_cast<uint32_t*>(to + plane * rows.plane_size), kTileKeys);
  return {to, rows.plane_size};
}

/// Two rows' numbers in turn.
HWY_INLINE void StorePairs(hn::Vec<D16> x, hn::Vec<D16> y, BFloat16* to) {
  const auto words = hn::Or(hn::PromoteTo(D32(), x), hn::ShiftLeft<16>(hn::PromoteTo(D32(), y)));
  hn::StoreU(words, D32(), reinterpret_cast<uint32_t*>(to));
}

/// The right operand of sums over rows: [rows / group][padded][group]. fp32 rows are that already.
inline const float* OverRows(const float* rows, int64_t, int64_t, float*) { return rows; }
inline const BFloat16* OverRows(const BFloat16* rows, int64_t n, int64_t padded, BFloat16* to) {
  for (int64_t j = 0; j < n; j += 2)
    for (int64_t i = 0; i < padded; i += Lanes()) {
      const auto row = [&](int64_t r) {
        return hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(rows + r * padded + i));
      };
      StorePairs(row(j), row(j + 1), to + j * padded + 2 * i);
    }
  return to;
}
template <class E>
TileBlock<E> OverKeys(const TiledCall& c, const TileBlock<E>& rows, int64_t block, E* to) {
  if (std::is_same_v<E, float>) return rows;
  for (int64_t plane = 0; plane < (c.has_tangent(block) ? 2 : 1); ++plane)
    OverRows(rows.plane(plane), kTileKeys, c.padded(), to + plane * rows.plane_size);
  return {to, rows.plane_size};
}

/// A tile's rows of a query-shaped tensor, [planes][plane_rows][padded]; rows beyond the queries are zero.
template <class T, class E>
void MakeTile(const TiledCall& c, const void* from, int64_t head, int64_t tile, float scale, int64_t plane_rows,
              E* to) {
  const int64_t n = c.queries_of(tile), first = tile * c.tile_queries(), padded = c.padded();
  for (int64_t plane = 0; plane < c.planes; ++plane)
    for (int64_t i = 0; i < plane_rows; ++i, to += padded) {
      if (i < n)
        TileRow(static_cast<const T*>(from) + RowOffset(c, plane, head, c.q_heads, first + i), c.head_dim, scale, to,
                padded);
      else
        std::fill(to, to + padded, E(0.0f));
    }
}

// ---- The window

/// Which keys of a block a query sees: [first, end), counted from the block's start.
struct Visible {
  int64_t first, end;
  bool any() const { return first < end; }
};
inline Visible VisibleKeys(const TiledCall& c, int64_t query, int64_t block) {
  const int64_t start = block * kTileKeys;
  return {std::clamp<int64_t>(c.first_key(query) - start, 0, kTileKeys),
          std::clamp<int64_t>(c.last_key(query) + 1 - start, 0, kTileKeys)};
}
template <class E>
Strip StripOf() {
  return !std::is_same_v<E, float> && has_amx() ? kAmxStrip : kVectorStrip;
}
/// What queries [begin, end) see of a block together, in whole vectors or tile registers.
template <class E>
Visible VisibleColumns(const TiledCall& c, int64_t begin, int64_t end, int64_t block) {
  const int64_t first = VisibleKeys(c, begin, block).first, last = VisibleKeys(c, end - 1, block).end;
  const int64_t step = StripOf<E>().keys;
  return {first / step * step, (last + step - 1) / step * step};
}
inline void HideKeys(float* scores, Visible v, Visible columns) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  std::fill(scores + columns.first, scores + std::max(v.first, columns.first), kHidden);
  std::fill(scores + std::min(v.end, columns.end), scores + columns.end, kHidden);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
