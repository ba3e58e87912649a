// What this processor can do, asked in one place.
#pragma once

namespace ingrain::ops {

/// Whether it multiplies bf16 natively. Where it does not, libtorch's bf16 products are a hundred times slower than fp32's.
inline bool has_native_bf16() {
#if defined(__x86_64__)
  static const bool has = (__builtin_cpu_init(), __builtin_cpu_supports("avx512bf16"));
  return has;
#else
  return false;
#endif
}

}  // namespace ingrain::ops
