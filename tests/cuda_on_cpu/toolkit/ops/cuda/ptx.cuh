// Stands in for src/ops/cuda/ptx.cuh where kernels are compiled for the emulator: the same instructions, as PTX's
// manual describes them.
#pragma once

#include "cuda_bf16.h"

#include <stdexcept>

namespace ingrain::ops::cuda {

inline uint32_t bf16_pair(float low, float high) {
  return __float2bfloat16(low).bits | uint32_t{__float2bfloat16(high).bits} << 16;
}

inline float power_of_2(float x) { return std::exp2(x); }

namespace acted {

inline float half_of(uint32_t pair, int i) { return __bfloat162float({static_cast<uint16_t>(pair >> 16 * i)}); }

inline void load(uint32_t (&to)[4], const void* row, bool transposed) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) throw std::runtime_error("a matrix's rows must start on 16 bytes");
  const test::gpu::OfAllLanes<const void*> rows(row);
  const int lane = test::gpu::lane(), g = lane / 4, t = lane % 4 * 2;
  for (int i = 0; i < 4; ++i) {
    const auto at = [&](int row, int column) { return static_cast<const uint16_t*>(rows[8 * i + row])[column]; };
    to[i] = transposed ? at(t, g) | uint32_t{at(t + 1, g)} << 16 : at(g, t) | uint32_t{at(g, t + 1)} << 16;
  }
}

}  // namespace acted

inline void load_matrices(uint32_t (&to)[4], const void* row) { acted::load(to, row, false); }
inline void load_matrices_transposed(uint32_t (&to)[4], const void* row) { acted::load(to, row, true); }

inline void multiply_add(float* sum, const uint32_t (&left)[4], uint32_t right_low, uint32_t right_high) {
  using acted::half_of;
  struct Operands {
    uint32_t left[4], right[2];
  };
  const test::gpu::OfAllLanes<Operands> of({{left[0], left[1], left[2], left[3]}, {right_low, right_high}});
  const int lane = test::gpu::lane(), g = lane / 4, t = lane % 4 * 2;
  for (int i = 0; i < 4; ++i) {
    const int second_row = i / 2, column = t + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int far = k / 8, quad = k % 8 / 2;  // operands have k in pairs over four lanes, twice
      sum[i] += half_of(of[4 * g + quad].left[second_row + 2 * far], k % 2) *
                half_of(of[4 * column + quad].right[far], k % 2);
    }
  }
}

}  // namespace ingrain::ops::cuda
