// What the host and the device side of a CUDA operation share: plain types, no torch and no CUDA header.
#pragma once

#include "ops/number.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>

struct CUstream_st;

namespace ingrain::ops::cuda {

using Stream = CUstream_st*;  // cudaStream_t

/// Whether kernels may read and write 16 bytes at once: every pointer (null ones aside) and every row starts on 16
/// bytes.
inline bool in_vectors(Number type, int64_t row_elements, std::initializer_list<const void*> pointers) {
  if (row_elements * size_of(type) % 16 != 0) return false;
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace ingrain::ops::cuda
