// Reading a matrix from main memory once, several rows side by side. Per instruction set.
#if defined(INGRAIN_OPS_LINEAR_STREAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef INGRAIN_OPS_LINEAR_STREAM_INL_H_
#undef INGRAIN_OPS_LINEAR_STREAM_INL_H_
#else
#define INGRAIN_OPS_LINEAR_STREAM_INL_H_
#endif

#include <hwy/cache_control.h>

#include "ops/cpu/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

/// Asks for `bytes` from p on. While rows are read side by side, the next ones are asked for in the order in which they lie:
/// memory gives one long stream up to twice as fast as several short ones. Beyond the matrix's end it does nothing.
template <size_t bytes>
HWY_INLINE void PrefetchBytes(const char* p) {
#pragma GCC unroll 8
  for (size_t i = 0; i < bytes; i += 64) hwy::Prefetch(p + i);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
