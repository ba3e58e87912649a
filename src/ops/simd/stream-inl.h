// Reading a matrix from main memory once, several rows side by side. Per instruction set.
#if defined(INGRAIN_OPS_SIMD_STREAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_SIMD_STREAM_INL_H_
#undef INGRAIN_OPS_SIMD_STREAM_INL_H_
#else
#define INGRAIN_OPS_SIMD_STREAM_INL_H_
#endif

#include "ops/simd/prefetch.h"
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// While rows are read side by side, the next ones are asked for in the order in which they lie, as memory gives one
/// long stream up to twice as fast as several short ones: so many bytes ahead of their use, where that does not follow
/// from the rows.
constexpr int64_t kStreamAhead = 16384;

/// Rows of the weight that are read side by side: as many streams as the processor prefetches, and enough sums to keep
/// its multiply-add units busy.
constexpr int kStreams = 4;

/// c[j] = the sums of a row with the first `streams` of a weight's rows.
template <class T>
HWY_INLINE void StoreDots(const V (&sum)[kStreams], int64_t streams, T* c) {
  float sums[kStreams];
  StoreSums(sum[0], sum[1], sum[2], sum[3], sums);
  for (int64_t j = 0; j < streams; ++j) c[j] = static_cast<T>(sums[j]);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
