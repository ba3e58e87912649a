// This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#ifndef INGRAIN_OPS_Q8  // what all of them share
#define INGRAIN_OPS_Q8
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
#include "ops/simd/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

using DI = hn::RebindToSigned<D>;
using Sums = hn::Vec<DI>;

/// A block's products with M rows of whole numbers (K apart), in sums whose own sum is the dot product: 32 * 32767 *
/// 127 < 2^31.
template <int M>
HWY_INLINE void Dots(const int16_t* x, int64_t K, const int8_t* q, Sums (&dots)[M]) {
  const DI d32;
  for (int i = 0; i < M; ++i) dots[i] = hn::Zero(d32);
#if HWY_TARGET == HWY_SCALAR
  for (int64_t p = 0; p < kQuantizedBlock; ++p)
    for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], hn::Set(d32, int32_t{x[i * K + p]} * q[p]));
#else
  const hn::RepartitionToNarrow<DI> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  Sums second[M];  // where some instruction sets put half of the products
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) second[i] = hn::Zero(d32);
#pragma GCC unroll 4
  for (size_t p = 0; p < kQuantizedBlock; p += hn::Lanes(d16)) {
    const auto q16 = hn::PromoteTo(d16, hn::LoadU(d8, q + p));
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i)
      dots[i] = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, x + i * K + p), q16, dots[i], second[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], second[i]);
#endif
}

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
      Sums dots[M];
      Dots<M>(x, K, row[j][b].q, dots);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i)
        sum[i][j] =
            hn::MulAdd(hn::ConvertTo(D(), dots[i]), Set(row[j][b].scale * a_scale[i * call.blocks + b]), sum[i][j]);
    }
  }
  StoreDots(sum, streams, c, call.n);
}

template <class T>
void Q8RowsAs(const QuantizedCall& call, int64_t begin, int64_t end) {
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

void Q8Rows(const QuantizedCall& call, int64_t begin, int64_t end) {
  call.type == at::kFloat ? Q8RowsAs<float>(call, begin, end) : Q8RowsAs<BFloat16>(call, begin, end);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(Q8Rows);

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

void dequantize_row(const void* row, int64_t blocks, float* w) {
  for (int64_t b = 0; b < blocks; ++b) {
    const Q8Block& block = static_cast<const Q8Block*>(row)[b];
    for (const int8_t q : block.q) *w++ = block.scale * static_cast<float>(q);
  }
}

void multiply(const QuantizedCall& call, int64_t begin, int64_t end) { HWY_DYNAMIC_DISPATCH(Q8Rows)(call, begin, end); }

}  // namespace

const QuantizedFormat q8_0{"q8_0",       at::kByte,      1,       sizeof(Q8Block), std::numeric_limits<float>::max(),
                           quantize_row, dequantize_row, multiply};

}  // namespace ingrain::ops
#endif
