// Products of many rows with quantized weights: a block of 32 rows of weights is expanded once, in the first-level
// cache, and meets all rows of a there. What is left is multiplying. Per instruction set.
#if defined(INGRAIN_OPS_QUANTIZED_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_QUANTIZED_PANEL_INL_H_
#undef INGRAIN_OPS_QUANTIZED_PANEL_INL_H_
#else
#define INGRAIN_OPS_QUANTIZED_PANEL_INL_H_
#endif

#include "ops/quantized/format.h"
#include "ops/simd/stream-inl.h"

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

using DI = hn::RebindToSigned<D>;
using VI = hn::Vec<DI>;

/// A pair of 16-bit numbers in every lane.
HWY_INLINE VI SetPair(const int16_t* pair) {
  int32_t bits;
  std::memcpy(&bits, pair, sizeof bits);
  return hn::Set(DI(), bits);
}

/// Sums of products of 16-bit numbers, two in each lane. Some instruction sets put half of them into `second`.
struct PairSums {
  VI first, second;

  // No constructor: those of an array's elements would run in a loop, through memory.
  HWY_INLINE void Clear() { first = second = hn::Zero(DI()); }
  HWY_INLINE void Add(VI a, VI b) {
#if INGRAIN_NATIVE_BF16  // has this instruction, too, which Highway 1.0 does not know
    first = VI{_mm512_dpwssd_epi32(first.raw, a.raw, b.raw)};
#elif HWY_TARGET == HWY_SCALAR
    const int32_t x = hn::GetLane(a), y = hn::GetLane(b);
    first = hn::Add(first, hn::Set(DI(), static_cast<int16_t>(x) * static_cast<int16_t>(y) + (x >> 16) * (y >> 16)));
#else
    const hn::RepartitionToNarrow<DI> d16;
    first = hn::ReorderWidenMulAccumulate(DI(), hn::BitCast(d16, a), hn::BitCast(d16, b), first, second);
#endif
  }
  HWY_INLINE VI Total() const {
#if HWY_TARGET == HWY_SCALAR || INGRAIN_NATIVE_BF16
    return first;
#else
    return hn::RearrangeToOddPlusEven(first, second);
#endif
  }
};

constexpr int64_t kPanelRows = 32;  // of weights
constexpr int64_t kPanelMost = 64;  // rows of a at once: their sums stay in the first-level cache

/// A block of each of its rows of weights, beside each other: weight = scale * number + least.
struct Panel {
  HWY_ALIGN int32_t pairs[kQuantizedBlock / 2][kPanelRows];  // columns 2p and 2p + 1, 16 bits each
  HWY_ALIGN float scale[kPanelRows], least[kPanelRows];
};

/// Rows of a and vectors of the panel whose sums stay in registers.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
constexpr int kPanelTile = 8;
#else
constexpr int kPanelTile = 4;
#endif
constexpr int kPanelVectors = 2;

/// sums[i][j] += <a_i, w_j> over a block, for Rows rows of a and the panel's rows from `lane` on. The order of the
/// operations on a sum is the same as for few rows.
template <int Rows, bool kLeast>
HWY_INLINE void MeetTile(const Panel& w, const int16_t* HWY_RESTRICT a, const float* HWY_RESTRICT a_scale,
                         const float* HWY_RESTRICT a_sum, int64_t lane, float* HWY_RESTRICT sums) {
  PairSums dots[Rows][kPanelVectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kPanelVectors; ++j) dots[i][j].Clear();
#pragma GCC unroll 1  // unrolled, GCC would load all of the panel before the first row, and spill it
  for (int p = 0; p < kQuantizedBlock / 2; ++p) {
    VI pair[kPanelVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kPanelVectors; ++j) pair[j] = hn::Load(DI(), w.pairs[p] + lane + j * int64_t(Lanes()));
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const VI x = SetPair(a + i * kQuantizedBlock + 2 * p);
#pragma GCC unroll 2
      for (int j = 0; j < kPanelVectors; ++j) dots[i][j].Add(x, pair[j]);
    }
  }
#pragma GCC unroll 2
  for (int j = 0; j < kPanelVectors; ++j) {
    const int64_t at = lane + j * int64_t(Lanes());
    const V scale = Load(w.scale + at), least = kLeast ? Load(w.least + at) : Zero();
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      float* const to = sums + i * kPanelRows + at;
      V sum = Load(to);
      if (kLeast) sum = hn::MulAdd(least, Set(a_sum[i]), sum);
      Store(hn::MulAdd(hn::Mul(scale, Set(a_scale[i])), hn::ConvertTo(D(), dots[i][j].Total()), sum), to);
    }
  }
}

/// The same for rows i .. rows of a, Rows at a time; returns the first that is left.
template <int Rows, bool kLeast>
HWY_INLINE int64_t MeetTiles(const Panel& w, int64_t i, int64_t rows, const int16_t* a, const float* a_scale,
                             const float* a_sum, int64_t lane, float* sums) {
  for (; i + Rows <= rows; i += Rows)
    MeetTile<Rows, kLeast>(w, a + i * kQuantizedBlock, a_scale + i, a_sum + i, lane, sums + i * kPanelRows);
  return i;
}

/// The same for `rows` rows of a and the panel's first `columns`.
template <bool kLeast>
HWY_INLINE void MeetPanel(const Panel& w, int64_t columns, int64_t rows, const int16_t* a, const float* a_scale,
                          const float* a_sum, float* sums) {
  for (int64_t lane = 0; lane < columns; lane += kPanelVectors * int64_t(Lanes())) {
    int64_t i = MeetTiles<kPanelTile, kLeast>(w, 0, rows, a, a_scale, a_sum, lane, sums);
    i = MeetTiles<4, kLeast>(w, i, rows, a, a_scale, a_sum, lane, sums);
    i = MeetTiles<2, kLeast>(w, i, rows, a, a_scale, a_sum, lane, sums);
    MeetTiles<1, kLeast>(w, i, rows, a, a_scale, a_sum, lane, sums);
  }
}

/// All rows of a with rows begin .. end of the weights. expand(row, columns, block, panel): writes that block of
/// `columns` rows, the first of which is `row`; what lies behind them may be anything.
template <bool kLeast, class T, class Expand>
HWY_INLINE void MeetPanels(const QuantizedCall& call, int64_t begin, int64_t end, const Expand& expand) {
  Panel panel = {};
  HWY_ALIGN float sums[kPanelMost * kPanelRows];
  for (int64_t row = begin; row < end; row += kPanelRows) {
    const int64_t columns = HWY_MIN(kPanelRows, end - row);
    for (int64_t first = 0; first < call.m; first += kPanelMost) {
      const int64_t rows = HWY_MIN(kPanelMost, call.m - first);
      std::fill(sums, sums + rows * kPanelRows, 0.0f);
      for (int64_t b = 0; b < call.blocks; ++b) {
        const int64_t at = b * call.m + first;
        expand(row, columns, b, panel);
        MeetPanel<kLeast>(panel, columns, rows, call.a + at * kQuantizedBlock, call.a_scale + at, call.a_sum + at,
                          sums);
      }
      T* const c = static_cast<T*>(call.c) + first * call.n + row;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; j += int64_t(Lanes()))
          StoreUpTo(Load(sums + i * kPanelRows + j), c + i * call.n + j, columns - j);
    }
  }
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
