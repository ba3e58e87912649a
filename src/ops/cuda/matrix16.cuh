// Products of 16x16 matrices by one warp, sums in fp32 registers: on tensor cores for bf16, on the ordinary ones for
// fp32. Operands come from shared memory, where their rows start on 16 bytes, or are a sum's elements, rounded. All 32
// lanes must call every function here; what other lanes wrote needs a barrier before.
#pragma once

#include "ops/cuda/device_math.cuh"
#include "ops/cuda/ptx.cuh"

namespace ingrain::ops::cuda {

__device__ inline int lane() { return threadIdx.x % 32; }

/// Eight elements of a 16x16 matrix, of two rows; element i is at row_of(i) and column_of(i).
struct Sum {
  float x[8] = {};
};
__device__ inline int row_of(int i) { return lane() / 4 + i / 2 % 2 * 8; }
__device__ inline int column_of(int i) { return lane() % 4 * 2 + i % 2 + i / 4 * 8; }
/// Which element is the j-th of four in the lane's first (0) or second (1) row.
__device__ constexpr int element(int row, int j) { return 2 * row + j % 2 + j / 2 * 4; }

template <class T>
struct Left;
/// kTransposed: it lies in memory as its transpose. `ld`: elements between rows in memory.
template <class T, bool kTransposed>
struct Right;

/// Floats of shared memory that a warp lends for turning a sum into a left operand.
template <class T>
inline constexpr int kScratch = 0;

// ---- bf16

template <>
struct Left<__nv_bfloat16> {
  uint32_t x[4];
  Left() = default;
  __device__ Left(const __nv_bfloat16* at, int ld) { load_matrices(x, at + lane() % 16 * ld + lane() / 16 * 8); }
  __device__ Left(const Sum& sum, float*) {
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] = bf16_pair(sum.x[2 * i], sum.x[2 * i + 1]);
  }
};
template <bool kTransposed>
struct Right<__nv_bfloat16, kTransposed> {
  uint32_t x[4];
  __device__ Right(const __nv_bfloat16* at, int ld) {
    if constexpr (kTransposed)
      load_matrices(x, at + (lane() % 8 + lane() / 16 * 8) * ld + lane() / 8 % 2 * 8);
    else
      load_matrices_transposed(x, at + lane() % 16 * ld + lane() / 16 * 8);
  }
};
template <bool kTransposed>
__device__ void add_product(Sum& sum, const Left<__nv_bfloat16>& left, const Right<__nv_bfloat16, kTransposed>& right) {
  multiply_add(sum.x, left.x, right.x[0], right.x[1]);
  multiply_add(sum.x + 4, left.x, right.x[2], right.x[3]);
}

// ---- fp32: operands stay in shared memory

template <>
inline constexpr int kScratch<float> = 16 * 20;

template <>
struct Left<float> {
  const float* at;
  int ld;
  Left() = default;
  __device__ Left(const float* at, int ld) : at(at), ld(ld) {}
  __device__ Left(const Sum& sum, float* scratch) : at(scratch), ld(20) {
    __syncwarp();  // what lay there is done with
#pragma unroll
    for (int i = 0; i < 8; ++i) scratch[row_of(i) * ld + column_of(i)] = sum.x[i];
    __syncwarp();
  }
};
template <bool kTransposed>
struct Right<float, kTransposed> {
  const float* at;
  int ld;
  __device__ Right(const float* at, int ld) : at(at), ld(ld) {}
  __device__ float operator()(int k, int n) const { return kTransposed ? at[n * ld + k] : at[k * ld + n]; }
};
template <bool kTransposed>
__device__ void add_product(Sum& sum, const Left<float>& left, const Right<float, kTransposed>& right) {
  const float* const row = left.at + row_of(0) * left.ld;
#pragma unroll 1
  for (int k = 0; k < 16; ++k) {
    const float l[2] = {row[k], row[8 * left.ld + k]};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float r = right(k, column_of(element(0, j)));
      sum.x[element(0, j)] += l[0] * r;
      sum.x[element(1, j)] += l[1] * r;
    }
  }
}

}  // namespace ingrain::ops::cuda
