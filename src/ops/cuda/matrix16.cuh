// Products of 16x16 matrices by one warp, operands in shared memory, sums in fp32 registers: on tensor cores for bf16, on
// the ordinary ones for fp32. Which lane holds which element is nobody's business: elements are met in shared memory.
// All 32 lanes must call every function here; what other lanes wrote needs a __syncwarp() or __syncthreads() before.
#pragma once

#include "ops/cuda/device_math.cuh"

#include <mma.h>

#include <type_traits>

namespace ingrain::ops::cuda {

/// A left operand [16 x 16]; kTransposed: it lies in memory as its transpose. `ld`: elements between rows in memory.
template <class T, bool kTransposed>
struct Left;
template <class T, bool kTransposed>
struct Right;
template <class T>
struct Sum;

// ---- bf16: matrices start on 32 bytes, and their rows on 16

template <bool kTransposed>
using Layout16 = std::conditional_t<kTransposed, nvcuda::wmma::col_major, nvcuda::wmma::row_major>;

template <bool kTransposed>
struct Left<__nv_bfloat16, kTransposed> {
  nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, __nv_bfloat16, Layout16<kTransposed>> x;
  __device__ Left(const __nv_bfloat16* at, int ld) { nvcuda::wmma::load_matrix_sync(x, at, ld); }
};
template <bool kTransposed>
struct Right<__nv_bfloat16, kTransposed> {
  nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, __nv_bfloat16, Layout16<kTransposed>> x;
  __device__ Right(const __nv_bfloat16* at, int ld) { nvcuda::wmma::load_matrix_sync(x, at, ld); }
};
template <>
struct Sum<__nv_bfloat16> {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> x;
  __device__ Sum() { nvcuda::wmma::fill_fragment(x, 0.0f); }
  template <class L, class R>
  __device__ void add(const L& left, const R& right) { nvcuda::wmma::mma_sync(x, left.x, right.x, x); }
  __device__ void load(const float* from, int ld) { nvcuda::wmma::load_matrix_sync(x, from, ld, nvcuda::wmma::mem_row_major); }
  __device__ void store(float* to, int ld) const { nvcuda::wmma::store_matrix_sync(to, x, ld, nvcuda::wmma::mem_row_major); }
};

// ---- fp32: operands stay in shared memory; a lane owns half a row of the sum

template <bool kTransposed>
struct Left<float, kTransposed> {
  const float* at;
  int ld;
  __device__ Left(const float* at, int ld) : at(at), ld(ld) {}
  __device__ float operator()(int i, int k) const { return kTransposed ? at[k * ld + i] : at[i * ld + k]; }
};
template <bool kTransposed>
struct Right<float, kTransposed> {
  const float* at;
  int ld;
  __device__ Right(const float* at, int ld) : at(at), ld(ld) {}
  __device__ float operator()(int k, int j) const { return kTransposed ? at[j * ld + k] : at[k * ld + j]; }
};
template <>
struct Sum<float> {
  float x[8] = {};
  __device__ static int row() { return threadIdx.x % 32 / 2; }
  __device__ static int first_column() { return threadIdx.x % 2 * 8; }
  template <class L, class R>
  __device__ void add(const L& left, const R& right) {
#pragma unroll 1
    for (int k = 0; k < 16; ++k) {
      const float l = left(row(), k);
#pragma unroll
      for (int j = 0; j < 8; ++j) x[j] += l * right(k, first_column() + j);
    }
  }
  __device__ void load(const float* from, int ld) {
#pragma unroll
    for (int j = 0; j < 8; ++j) x[j] = from[row() * ld + first_column() + j];
  }
  __device__ void store(float* to, int ld) const {
#pragma unroll
    for (int j = 0; j < 8; ++j) to[row() * ld + first_column() + j] = x[j];
  }
};

// ---- Longer products

/// How often their loops are unrolled: enough to keep loads in flight; fp32's steps are long by themselves.
template <class T>
constexpr int kUnroll = sizeof(T) == 2 ? 4 : 1;

/// sum += a bᵀ for a and b [16 x kInner], rows kLd apart.
template <int kInner, int kLd, class T>
__device__ void add_product_nt(Sum<T>& sum, const T* a, const T* b) {
#pragma unroll(kUnroll<T>)
  for (int k = 0; k < kInner; k += 16) sum.add(Left<T, false>(a + k, kLd), Right<T, true>(b + k, kLd));
}
/// sum += a b for a [16 x kInner] and b [kInner x 16].
template <int kInner, int kLdA, int kLdB, class T>
__device__ void add_product_nn(Sum<T>& sum, const T* a, const T* b) {
#pragma unroll(kUnroll<T>)
  for (int k = 0; k < kInner; k += 16) sum.add(Left<T, false>(a + k, kLdA), Right<T, false>(b + k * kLdB, kLdB));
}
/// sum += aᵀ b for a [kInner x 16] and b [kInner x 16].
template <int kInner, int kLdA, int kLdB, class T>
__device__ void add_product_tn(Sum<T>& sum, const T* a, const T* b) {
#pragma unroll(kUnroll<T>)
  for (int k = 0; k < kInner; k += 16) sum.add(Left<T, true>(a + k * kLdA, kLdA), Right<T, false>(b + k * kLdB, kLdB));
}

}  // namespace ingrain::ops::cuda
