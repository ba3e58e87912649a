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

#if HWY_TARGET != HWY_SCALAR
using Words = hn::RepartitionToNarrow<DI>;

/// M rows of whole numbers (K apart) times those that of(p) gives, 16 bits each, from a block's column p on; in sums
/// whose own sum is the dot product.
template <int M, class Of>
HWY_INLINE void DotsWith(const int16_t* x, int64_t K, const Of& of, VI (&dots)[M]) {
  const DI d32;
  const Words d16;
  VI second[M];  // where some instruction sets put half of the products
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) dots[i] = second[i] = hn::Zero(d32);
#pragma GCC unroll 4
  for (size_t p = 0; p < kQuantizedBlock; p += hn::Lanes(d16)) {
    const auto q16 = of(p);
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i)
      dots[i] = hn::ReorderWidenMulAccumulate(d32, hn::LoadU(d16, x + i * K + p), q16, dots[i], second[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) dots[i] = hn::Add(dots[i], second[i]);
}

/// A block's numbers of 8 bits, from column p on.
HWY_INLINE hn::Vec<Words> Widened(const int8_t* q, size_t p) {
  return hn::PromoteTo(Words(), hn::LoadU(hn::Rebind<int8_t, Words>(), q + p));
}

/// 16-bit numbers of which those of a block's first half are `first`, those of the second `second`, from column p on.
HWY_INLINE hn::Vec<Words> OfHalves(size_t p, int first, int second) {
  const auto low = static_cast<int16_t>(first), high = static_cast<int16_t>(second);
  if constexpr (hn::MaxLanes(Words()) <= kQuantizedBlock / 2) {
    return hn::Set(Words(), p < kQuantizedBlock / 2 ? low : high);
  } else {
    const hn::Half<Words> half;
    return hn::Combine(Words(), hn::Set(half, high), hn::Set(half, low));
  }
}
#else
/// The same one by one: of(p) is column p's. One lane would hold all 32: its sum, of 32 bits, is rounded to those that
/// fp32 has anyway, by `rounded`.
template <int M, class Of>
HWY_INLINE void DotsWith(const int16_t* x, int64_t K, const Of& of, VI (&dots)[M], int64_t rounded = 1) {
  for (int i = 0; i < M; ++i) {
    int64_t sum = 0;
    for (int64_t p = 0; p < kQuantizedBlock; ++p) sum += int64_t{x[i * K + p]} * of(p);
    dots[i] = hn::Set(DI(), static_cast<int32_t>(sum / rounded));
  }
}
HWY_INLINE int Widened(const int8_t* q, size_t p) { return q[p]; }
HWY_INLINE int OfHalves(size_t p, int first, int second) { return p < kQuantizedBlock / 2 ? first : second; }
#endif

/// A block's products with M rows: 32 * 32767 * 127 < 2^31.
template <int M>
HWY_INLINE void Dots(const int16_t* x, int64_t K, const int8_t* q, VI (&dots)[M]) {
  DotsWith<M>(x, K, [q](size_t p) { return Widened(q, p); }, dots);
}

/// The same with the numbers of a block's two halves times `first` and `second`, whose products have 12 bits: a lane's
/// sum of 8 of them stays below 2^31.
template <int M>
HWY_INLINE void HalvesDots(const int16_t* x, int64_t K, const int8_t* q, int first, int second, VI (&dots)[M]) {
#if HWY_TARGET == HWY_SCALAR
  DotsWith<M>(x, K, [=](size_t p) { return Widened(q, p) * OfHalves(p, first, second); }, dots, /*rounded=*/8);
#else
  DotsWith<M>(x, K, [=](size_t p) { return hn::Mul(Widened(q, p), OfHalves(p, first, second)); }, dots);
#endif
}

/// The same where all numbers of a half are `first`, or `second`: 32 * 32767 * 15 < 2^31.
template <int M>
HWY_INLINE void HalvesSums(const int16_t* x, int64_t K, int first, int second, VI (&dots)[M]) {
  DotsWith<M>(x, K, [=](size_t p) { return OfHalves(p, first, second); }, dots);
}

/// What HalvesDots' sums are to be multiplied by.
constexpr float kOfHalvesDots = HWY_TARGET == HWY_SCALAR ? 8 : 1;

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
