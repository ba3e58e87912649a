// Asking for memory ahead of its use, where the processor does not see it coming. Beyond the end of what there is it
// does nothing.
#pragma once

#include <hwy/base.h>

#include <cstddef>
#include <cstdint>

namespace ingrain::ops {

/// Where what is asked for goes to: what the next instructions want, to the first level.
enum class Cache { first, second };

template <Cache to>
HWY_INLINE void PrefetchLine(const void* p) {
  __builtin_prefetch(p, 0, to == Cache::first ? 3 : 2);
}

/// n elements from p on.
template <Cache to, class T>
HWY_INLINE void Prefetch(const T* p, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / int64_t(sizeof(T))) PrefetchLine<to>(p + i);
}

/// The same for a number of bytes that is known: up to eight lines without a loop.
template <Cache to, size_t bytes>
HWY_INLINE void PrefetchBytes(const char* p) {
#pragma GCC unroll 8
  for (size_t i = 0; i < bytes; i += 64) PrefetchLine<to>(p + i);
}

}  // namespace ingrain::ops
