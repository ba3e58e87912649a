// Vectors of fp32 for the CPU kernels: loads and stores of fp32 and bf16, reductions, exp and sigmoid.
// Per instruction set: included after hwy/foreach_target.h, and again for every target.
#if defined(INGRAIN_OPS_CPU_VEC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_CPU_VEC_INL_H_
#undef INGRAIN_OPS_CPU_VEC_INL_H_
#else
#define INGRAIN_OPS_CPU_VEC_INL_H_
#endif

#include <c10/util/BFloat16.h>
#include <hwy/highway.h>

#include <type_traits>

// Every HWY_BEFORE_NAMESPACE() from here on means AVX3_DL and bf16, and may name AMX, which no compiler uses unasked
// (amx-inl.h).
#undef INGRAIN_NATIVE_BF16
#if HWY_ARCH_X86 && HWY_TARGET == HWY_AVX3_DL
#define INGRAIN_NATIVE_BF16 1
#undef HWY_TARGET_STR
#ifdef HWY_TARGET_STR_AVX3_DL
#define HWY_TARGET_STR HWY_TARGET_STR_AVX3_DL ",avx512bf16,amx-tile,amx-bf16"
#else  // Highway 1.0.3 gives it no name: what it says itself, as its functions must fit into ours
#define HWY_TARGET_STR                                                            \
  HWY_TARGET_STR_AVX3                                                             \
  ",vpclmulqdq,avx512vbmi,avx512vbmi2,vaes,avxvnni,avx512bitalg,avx512vpopcntdq," \
  "avx512vnni,avx512bf16,amx-tile,amx-bf16"
#endif
#else
#define INGRAIN_NATIVE_BF16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using c10::BFloat16;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE size_t Lanes() { return hn::Lanes(D()); }
HWY_INLINE V Set(float x) { return hn::Set(D(), x); }
HWY_INLINE V Zero() { return hn::Zero(D()); }

HWY_INLINE V Load(const float* p) { return hn::LoadU(D(), p); }
using D16 = hn::Rebind<uint16_t, D>;
using D32 = hn::RebindToUnsigned<D>;

HWY_INLINE V FromBf16(hn::Vec<D16> x) { return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(D32(), x))); }
HWY_INLINE V Load(const BFloat16* p) { return FromBf16(hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(p))); }

#if !INGRAIN_NATIVE_BF16
/// The upper 16 bits of each lane are x as a bf16, rounded to nearest even; a NaN stays one. The lower 16 are whatever.
HWY_INLINE hn::Vec<D32> RoundedBits(V x) {
  const auto bits = hn::BitCast(D32(), x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(D32(), 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(D32(), 0x7fff)));
  return hn::IfThenElse(hn::RebindMask(D32(), hn::Ne(x, x)), hn::Set(D32(), 0x7fc00000), rounded);
}
#endif

/// Rounds to nearest even; a NaN stays one. The native instruction makes zero of what is below the smallest normal
/// number.
HWY_INLINE hn::Vec<D16> ToBf16(V x) {
#if INGRAIN_NATIVE_BF16
  return hn::Vec<D16>{(__m256i)_mm512_cvtneps_pbh(x.raw)};
#else
  return hn::DemoteTo(D16(), hn::BitCast(hn::RebindToSigned<D>(), hn::ShiftRight<16>(RoundedBits(x))));
#endif
}

HWY_INLINE void Store(V x, float* p) { hn::StoreU(x, D(), p); }
HWY_INLINE void Store(V x, BFloat16* p) { hn::StoreU(ToBf16(x), D16(), reinterpret_cast<uint16_t*>(p)); }

/// What is left of x after being stored as a T: intermediate values that the model rounds stay rounded in a fused
/// kernel.
template <class T>
HWY_INLINE V Rounded(V x) {
  if constexpr (std::is_same_v<T, float>) return x;
#if INGRAIN_NATIVE_BF16
  return FromBf16(ToBf16(x));
#else
  return hn::BitCast(D(), hn::And(RoundedBits(x), hn::Set(D32(), 0xffff0000u)));
#endif
}

/// The first `n` lanes, where fewer than a vector are left; the other lanes are zero.
template <class T>
HWY_INLINE V LoadUpTo(const T* p, size_t n) {
  if (HWY_LIKELY(n >= Lanes())) return Load(p);
  HWY_ALIGN float lanes[hn::MaxLanes(D())] = {};
  for (size_t i = 0; i < n; ++i) lanes[i] = static_cast<float>(p[i]);
  return hn::Load(D(), lanes);
}
template <class T>
HWY_INLINE void StoreUpTo(V x, T* p, size_t n) {
  if (HWY_LIKELY(n >= Lanes())) return Store(x, p);
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  hn::Store(x, D(), lanes);
  for (size_t i = 0; i < n; ++i) p[i] = static_cast<T>(lanes[i]);
}

HWY_INLINE float Sum(V x) { return hn::GetLane(hn::SumOfLanes(D(), x)); }

#if HWY_TARGET != HWY_SCALAR
/// Adds up what blocks of 128 bits have in the same place: 4 numbers.
template <class DX>
HWY_INLINE void StoreSumOfBlocks(DX d, hn::Vec<DX> x, float* out) {
  if constexpr (hn::MaxLanes(DX()) > 4) {
    const hn::Half<DX> half;
    StoreSumOfBlocks(half, hn::Add(hn::LowerHalf(half, x), hn::UpperHalf(half, x)), out);
  } else {
    hn::StoreU(x, d, out);
  }
}
#endif

/// out[0 .. 3] = the sums of four vectors, in a third of the time of one after the other.
HWY_INLINE void StoreSums(V a, V b, V c, V d, float* out) {
#if HWY_TARGET == HWY_SCALAR
  const V sums[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) out[i] = Sum(sums[i]);
#else
  const V ac = hn::Add(hn::InterleaveLower(a, c), hn::InterleaveUpper(D(), a, c));  // in each block: a, c, a, c
  const V bd = hn::Add(hn::InterleaveLower(b, d), hn::InterleaveUpper(D(), b, d));
  StoreSumOfBlocks(D(), hn::Add(hn::InterleaveLower(ac, bd), hn::InterleaveUpper(D(), ac, bd)), out);
#endif
}

HWY_INLINE float Max(V x) { return hn::GetLane(hn::MaxOfLanes(D(), x)); }

/// x 2^n for integral n, and 0 where `keep` is false.
HWY_INLINE V ScaledByPower(V x, V n, hn::Mask<D> keep) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  return V{_mm512_maskz_scalef_ps(keep.raw, x.raw, n.raw)};
#else
  const hn::RebindToSigned<D> d;
  const auto bits = hn::Add(hn::BitCast(d, x), hn::ShiftLeft<23>(hn::ConvertTo(d, n)));
  return hn::IfThenElseZero(keep, hn::BitCast(D(), bits));
#endif
}

/// exp, within 2 units in the last place; 0 below -87.3, the largest power below overflow above 88.
HWY_INLINE V Exp(V x) {
  const V low = Set(-87.33f);
  const V y = hn::Max(low, hn::Min(Set(88.0f), x));  // this order keeps NaN
  const V n = hn::Round(hn::Mul(y, Set(1.44269504f)));
  V r = hn::NegMulAdd(n, Set(0.693145751953125f), y);  // ln 2 in two parts, the first of 15 bits
  r = hn::NegMulAdd(n, Set(1.42860677e-6f), r);
  // exp(r) = 1 + r + r^2 q(r), q by weighted least squares on [-ln 2 / 2, ln 2 / 2]
  V q = hn::MulAdd(r, Set(0.001381446490995586f), Set(0.008368780836462975f));
  q = hn::MulAdd(q, r, Set(0.04166839271783829f));
  q = hn::MulAdd(q, r, Set(0.1666651964187622f));
  q = hn::MulAdd(q, r, Set(0.4999999403953552f));
  const V e = hn::Add(hn::MulAdd(hn::Mul(r, r), q, r), Set(1.0f));
  return ScaledByPower(e, n, hn::Not(hn::Lt(x, low)));
}

HWY_INLINE V Sigmoid(V x) { return hn::Div(Set(1.0f), hn::Add(Set(1.0f), Exp(hn::Neg(x)))); }

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
