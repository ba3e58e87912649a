// Rows of attention's operands and sums: tiled, scaled, narrowed. Per instruction set.
#if defined(INGRAIN_OPS_ATTENTION_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_ATTENTION_ROWS_INL_H_
#undef INGRAIN_OPS_ATTENTION_ROWS_INL_H_
#else
#define INGRAIN_OPS_ATTENTION_ROWS_INL_H_
#endif

#include "ops/simd/vec-inl.h"

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// A row of n numbers to fp32, times `scale`, padded with zeros to `padded`.
template <class T>
void TileRow(const T* from, size_t n, float scale, float* to, size_t padded) {
  for (size_t i = 0; i < n; i += Lanes()) StoreUpTo(hn::Mul(LoadUpTo(from + i, n - i), Set(scale)), to + i, padded - i);
  std::fill(to + n, to + padded, 0.0f);
}
/// Copied: whoever keeps bf16 scales later.
inline void TileRow(const BFloat16* from, size_t n, float, BFloat16* to, size_t padded) {
  const D16 d;
  size_t i = 0;
  for (; i + Lanes() <= n; i += Lanes())
    hn::StoreU(hn::LoadU(d, reinterpret_cast<const uint16_t*>(from + i)), d, reinterpret_cast<uint16_t*>(to + i));
  for (; i < n; ++i) to[i] = from[i];
  for (; i < padded; ++i) to[i] = BFloat16(0.0f);
}
template <class T>
void NarrowRow(const float* from, size_t n, float scale, T* to) {
  for (size_t i = 0; i < n; i += Lanes()) StoreUpTo(hn::Mul(LoadUpTo(from + i, n - i), Set(scale)), to + i, n - i);
}

/// In place; n a multiple of whole vectors.
inline void ScaleRow(float* row, size_t n, float factor) {
  for (size_t i = 0; i < n; i += Lanes()) Store(hn::Mul(Load(row + i), Set(factor)), row + i);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
