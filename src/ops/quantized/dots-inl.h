// Products of few rows with a block of whole numbers of 8 bits. Per instruction set.
#if defined(INGRAIN_OPS_QUANTIZED_DOTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_QUANTIZED_DOTS_INL_H_
#undef INGRAIN_OPS_QUANTIZED_DOTS_INL_H_
#else
#define INGRAIN_OPS_QUANTIZED_DOTS_INL_H_
#endif

#include "ops/quantized/panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A block's products with M rows of whole numbers (K apart), in sums whose own sum is the dot product: 32 * 32767 *
/// 127 < 2^31.
template <int M>
HWY_INLINE void Dots(const int16_t* x, int64_t K, const int8_t* q, VI (&dots)[M]) {
  const DI d32;
  for (int i = 0; i < M; ++i) dots[i] = hn::Zero(d32);
#if HWY_TARGET == HWY_SCALAR
  for (int64_t p = 0; p < kQuantizedBlock; ++p)
    for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], hn::Set(d32, int32_t{x[i * K + p]} * q[p]));
#else
  const hn::RepartitionToNarrow<DI> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  VI second[M];  // where some instruction sets put half of the products
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

#if HWY_TARGET != HWY_SCALAR
/// 16-bit numbers of which those of a block's first half are `first`, those of the second `second`, from column p on.
template <class D16s>
HWY_INLINE hn::Vec<D16s> OfHalves(D16s d16, size_t p, int16_t first, int16_t second) {
  if constexpr (hn::MaxLanes(D16s()) <= kQuantizedBlock / 2) {
    return hn::Set(d16, p < kQuantizedBlock / 2 ? first : second);
  } else {
    const hn::Half<D16s> half;
    return hn::Combine(d16, hn::Set(half, second), hn::Set(half, first));
  }
}
#endif

/// The same with the numbers of a block's two halves times `first` and `second`, whose products have 12 bits: a lane's
/// sum of 8 of them stays below 2^31.
template <int M>
HWY_INLINE void HalvesDots(const int16_t* x, int64_t K, const int8_t* q, int first, int second, VI (&dots)[M]) {
  const DI d32;
  for (int i = 0; i < M; ++i) dots[i] = hn::Zero(d32);
#if HWY_TARGET == HWY_SCALAR
  // One lane would hold all 32: its sum, of 32 bits, is rounded to those that fp32 has anyway.
  for (int i = 0; i < M; ++i) {
    int64_t sum = 0;
    for (int64_t p = 0; p < kQuantizedBlock; ++p)
      sum += int64_t{x[i * K + p]} * q[p] * (p < kQuantizedBlock / 2 ? first : second);
    dots[i] = hn::Set(d32, static_cast<int32_t>(sum / 8));
  }
#else
  const hn::RepartitionToNarrow<DI> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  VI other[M];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) other[i] = hn::Zero(d32);
#pragma GCC unroll 4
  for (size_t p = 0; p < kQuantizedBlock; p += hn::Lanes(d16)) {
    const auto q16 = hn::Mul(hn::PromoteTo(d16, hn::LoadU(d8, q + p)),
                             OfHalves(d16, p, static_cast<int16_t>(first), static_cast<int16_t>(second)));
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i)
      dots[i] = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, x + i * K + p), q16, dots[i], other[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], other[i]);
#endif
}
/// The same where all numbers of a half are `first`, or `second`: 32 * 32767 * 15 < 2^31.
template <int M>
HWY_INLINE void HalvesSums(const int16_t* x, int64_t K, int first, int second, VI (&dots)[M]) {
  const DI d32;
  for (int i = 0; i < M; ++i) dots[i] = hn::Zero(d32);
#if HWY_TARGET == HWY_SCALAR
  for (int64_t p = 0; p < kQuantizedBlock; ++p)
    for (int i = 0; i < M; ++i)
      dots[i] = hn::Add(dots[i], hn::Set(d32, int32_t{x[i * K + p]} * (p < kQuantizedBlock / 2 ? first : second)));
#else
  const hn::RepartitionToNarrow<DI> d16;
  VI other[M];
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) other[i] = hn::Zero(d32);
#pragma GCC unroll 4
  for (size_t p = 0; p < kQuantizedBlock; p += hn::Lanes(d16)) {
    const auto q16 = OfHalves(d16, p, static_cast<int16_t>(first), static_cast<int16_t>(second));
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i)
      dots[i] = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, x + i * K + p), q16, dots[i], other[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], other[i]);
#endif
}

/// What HalvesDots' sums are to be multiplied by.
constexpr float kOfHalvesDots = HWY_TARGET == HWY_SCALAR ? 8 : 1;

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
