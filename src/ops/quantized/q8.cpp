// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_Q8  // what all of them share
#define INGRAIN_OPS_Q8
#define INGRAIN_WITH_NATIVE_BF16  // those processors multiply whole numbers and add them at once
#include "ops/simd/targets.h"
#include "ops/quantized/quantized.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ingrain::ops {

struct Q8Block {
  float scale;
  int8_t q[kQuantizedBlock];
};
static_assert(sizeof(Q8Block) == 36);

}  // namespace ingrain::ops
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/quantized/q8.cpp"
#include <hwy/foreach_target.h>
#include "ops/quantized/dots-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// c[i][j] = <a_i, w_j> for M rows of a and `streams` (up to kStreams) rows of w.
template <int M, class T>
HWY_INLINE void Q8Dots(const QuantizedCall& call, const int16_t* a, const float* a_scale, const Q8Block* w,
                       int64_t streams, T* c) {
  const int64_t K = call.blocks * kQuantizedBlock;
  V sum[M][kStreams];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) sum[i][j] = Zero();
  const Q8Block* row[kStreams];  // where fewer are left, the last one is repeated
#pragma GCC unroll 4
  for (int j = 0; j < kStreams; ++j) row[j] = w + HWY_MIN(int64_t{j}, streams - 1) * call.blocks;
  const char* const next = reinterpret_cast<const char*>(w + kStreams * call.blocks);
  for (int64_t b = 0; b < call.blocks; ++b) {
    const int16_t* const x = a + b * kQuantizedBlock;
    PrefetchBytes<Cache::first, kStreams * sizeof(Q8Block)>(next + b * kStreams * int64_t{sizeof(Q8Block)});
#pragma GCC unroll 4
    for (int j = 0; j < kStreams; ++j) {
      VI dots[M];
      Dots<M>(x, K, row[j][b].q, dots);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i)
        sum[i][j] =
            hn::MulAdd(hn::ConvertTo(D(), dots[i]), Set(row[j][b].scale * a_scale[i * call.blocks + b]), sum[i][j]);
    }
  }
  for (int i = 0; i < M; ++i) StoreDots(sum[i], streams, c + i * call.n);
}

/// A block of each of `rows` rows, `stride` bytes apart, to a panel's rows from `lane` on.
void PlaceRows(const int8_t* q, int64_t stride, int64_t rows, int64_t lane, Panel& panel) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t p = 0; p < kQuantizedBlock / 2; ++p) {
      const int16_t pair[] = {q[r * stride + 2 * p], q[r * stride + 2 * p + 1]};
      std::memcpy(&panel.pairs[p][lane + r], pair, sizeof pair);
    }
}

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
using D16Pairs = hn::CappedTag<int16_t, 16>;  // a block of a row, two columns a lane
using Pairs = hn::Vec<D16Pairs>;

/// A step of a transposition: numbers of a and b in turns, those of the lower and of the upper part of every 128 bits.
template <class DX>
HWY_INLINE void Interleave(DX d, const Pairs& a, const Pairs& b, Pairs& lower, Pairs& upper) {
  const auto x = hn::BitCast(d, a), y = hn::BitCast(d, b);
  lower = hn::BitCast(D16Pairs(), hn::InterleaveLower(d, x, y));
  upper = hn::BitCast(D16Pairs(), hn::InterleaveUpper(d, x, y));
}

/// The same for 16 rows.
void Place16Rows(const int8_t* q, int64_t stride, int64_t lane, Panel& panel) {
  const D16Pairs d16;
  const hn::RepartitionToWide<D16Pairs> d32;
  const hn::RepartitionToWide<decltype(d32)> d64;
  const hn::Repartition<int8_t, D16Pairs> d8;
  const hn::Half<decltype(d8)> half8;
  for (int64_t first = 0; first < 16; first += 8) {
    Pairs x[8], y[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) x[r] = hn::LoadU(d16, reinterpret_cast<const int16_t*>(q + (first + r) * stride));
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) Interleave(d16, x[i], x[i + 1], y[i], y[i + 1]);
    // y[i]: pairs 0-3, y[i + 1]: pairs 4-7 of rows i, i + 1; and 8-11, 12-15 in the upper half.
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      Interleave(d32, y[i], y[i + 2], x[i], x[i + 1]);
      Interleave(d32, y[i + 1], y[i + 3], x[i + 2], x[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) Interleave(d64, x[i], x[i + 4], y[2 * i], y[2 * i + 1]);
#pragma GCC unroll 8
    for (int p = 0; p < 8; ++p) {
      const auto both = hn::BitCast(d8, y[p]);
      hn::StoreU(hn::PromoteTo(d16, hn::LowerHalf(half8, both)), d16,
                 reinterpret_cast<int16_t*>(panel.pairs[p] + lane + first));
      hn::StoreU(hn::PromoteTo(d16, hn::UpperHalf(half8, both)), d16,
                 reinterpret_cast<int16_t*>(panel.pairs[p + 8] + lane + first));
    }
  }
}
#endif

void ExpandRows(const Q8Block* w, int64_t blocks, int64_t columns, Panel& panel) {
  const int64_t stride = blocks * int64_t{sizeof(Q8Block)};
  for (int64_t r = 0; r < columns; ++r) panel.scale[r] = w[r * blocks].scale;
  int64_t lane = 0;
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  for (; lane + 16 <= columns; lane += 16) Place16Rows(w->q + lane * stride, stride, lane, panel);
#endif
  PlaceRows(w->q + lane * stride, stride, columns - lane, lane, panel);
}

template <class T>
void Q8PanelsAs(const QuantizedCall& call, int64_t begin, int64_t end) {
  const auto* const w = static_cast<const Q8Block*>(call.w);
  MeetPanels</*kLeast=*/false, T>(call, begin, end, [&](int64_t row, int64_t columns, int64_t block, Panel& panel) {
    ExpandRows(w + row * call.blocks + block, call.blocks, columns, panel);
  });
}

template <class T>
void Q8RowsAs(const QuantizedCall& call, int64_t begin, int64_t end) {
  if (call.by_block) return Q8PanelsAs<T>(call, begin, end);
  const int64_t K = call.blocks * kQuantizedBlock;
  for (int64_t j = begin; j < end; j += kStreams) {
    const int64_t streams = HWY_MIN(int64_t{kStreams}, end - j);
    const Q8Block* const w = static_cast<const Q8Block*>(call.w) + j * call.blocks;
    T* const c = static_cast<T*>(call.c) + j;
    int64_t i = 0;
    for (; i + 2 <= call.m; i += 2)
      Q8Dots<2>(call, call.a + i * K, call.a_scale + i * call.blocks, w, streams, c + i * call.n);
    if (i < call.m) Q8Dots<1>(call, call.a + i * K, call.a_scale + i * call.blocks, w, streams, c + i * call.n);
  }
}

void Q8Expand(const void* row, int64_t blocks, float* w) {
  const hn::Rebind<int8_t, D> d8;
  for (int64_t b = 0; b < blocks; ++b) {
    const Q8Block& block = static_cast<const Q8Block*>(row)[b];
    const V scale = Set(block.scale);
    for (size_t p = 0; p < kQuantizedBlock; p += Lanes(), w += Lanes())
      Store(hn::Mul(scale, hn::ConvertTo(D(), hn::PromoteTo(DI(), hn::LoadU(d8, block.q + p)))), w);
  }
}

void Q8Rows(const QuantizedCall& call, int64_t begin, int64_t end) {
  call.type == at::kFloat ? Q8RowsAs<float>(call, begin, end) : Q8RowsAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Q8Rows);
HWY_EXPORT(Q8Expand);

Q8Block quantize_block(const float* x) {
  float largest = 0;
  for (int64_t i = 0; i < kQuantizedBlock; ++i) largest = std::max(largest, std::abs(x[i]));
  Q8Block out{largest / 127, {}};
  if (out.scale == 0) return out;  // zeros, or so small that the scale is
  for (int64_t i = 0; i < kQuantizedBlock; ++i)
    out.q[i] = static_cast<int8_t>(std::clamp(std::nearbyint(x[i] / out.scale), -127.0f, 127.0f));
  return out;
}

void quantize_row(const float* w, int64_t blocks, void* row) {
  for (int64_t b = 0; b < blocks; ++b) static_cast<Q8Block*>(row)[b] = quantize_block(w + b * kQuantizedBlock);
}

void dequantize_row(const void* row, int64_t blocks, float* w) { HWY_DYNAMIC_DISPATCH(Q8Expand)(row, blocks, w); }

void multiply(const QuantizedCall& call, int64_t begin, int64_t end) { HWY_DYNAMIC_DISPATCH(Q8Rows)(call, begin, end); }

}  // namespace

const QuantizedFormat q8_0{
    "q8_0",         1,       kQuantizedBlock, sizeof(Q8Block), std::numeric_limits<float>::max(), 9, quantize_row,
    dequantize_row, multiply};

}  // namespace ingrain::ops
#endif
