// Instructions, most of them of tensor cores, as PTX. tests/cuda_on_cpu/toolkit acts them out under the same names.
// All 32 lanes of a warp must call what moves or multiplies matrices.
#pragma once

#include <cstdint>

namespace ingrain::ops::cuda {

/// Four 8x8 matrices of bf16 from shared memory. Lane 8 i + j says where row j of matrix i lies, on 16 bytes; of every
/// matrix a lane gets two neighbours: row lane / 4, from column 2 (lane % 4) on, the first in the lower half.
__device__ inline void load_matrices(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}
/// Likewise, each matrix transposed: rows 2 (lane % 4) and the next one, at column lane / 4.
__device__ inline void load_matrices_transposed(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
}

/// sum [16 x 8] += left [16 x 16] right [16 x 8] in bf16. With g = lane / 4 and t = 2 (lane % 4), pairs of neighbours:
/// left rows g, g + 8, g, g + 8 at columns t, t, t + 8, t + 8; right column g, at rows t and t + 8; sum row g, then row
/// g + 8, at columns t and t + 1.
__device__ inline void multiply_add(float* sum, const uint32_t (&left)[4], uint32_t right_low, uint32_t right_high) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right_low), "r"(right_high));
}

/// Both rounded to bf16, to the nearest.
__device__ inline uint32_t bf16_pair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

/// 2 to the power of x, to 2 units in the last place; 0 for minus infinity.
__device__ inline float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace ingrain::ops::cuda
