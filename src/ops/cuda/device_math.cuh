// Pieces of kernels: numbers in fp32 from and to memory, and sums over warps and blocks in a fixed order.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace ingrain::ops::cuda {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
template <class T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16(x);
}

/// x as it would come back from a tensor of type T.
template <class T>
__device__ float rounded(float x) {
  return to_float(from_float<T>(x));
}

/// N neighbours in memory, moved at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T x[N];
};
template <int N>
struct Floats {
  float x[N];
  __device__ float operator[](int i) const { return x[i]; }
  __device__ float& operator[](int i) { return x[i]; }
};

template <int N, class T>
__device__ Floats<N> load(const T* from) {
  const auto vec = *reinterpret_cast<const Vec<T, N>*>(from);
  Floats<N> out;
#pragma unroll
  for (int i = 0; i < N; ++i) out[i] = to_float(vec.x[i]);
  return out;
}
/// What is read once, by nobody else: the first to leave the caches again.
template <int N, class T>
__device__ Vec<T, N> load_once(const T* from) {
  if constexpr (sizeof(Vec<T, N>) == sizeof(int4)) {
    const int4 bits = __ldcs(reinterpret_cast<const int4*>(from));
    Vec<T, N> out;
    memcpy(&out, &bits, sizeof bits);
    return out;
  } else {
    return *reinterpret_cast<const Vec<T, N>*>(from);
  }
}
/// fp32 operands beside narrower ones: only known to be aligned like a float, but mostly on 16 bytes.
template <int N>
__device__ Floats<N> load_each(const float* from) {
  Floats<N> out;
  if constexpr (N % 4 == 0) {
    if (reinterpret_cast<uintptr_t>(from) % 16 == 0) {
#pragma unroll
      for (int i = 0; i < N; i += 4) {
        const auto four = load<4>(from + i);
#pragma unroll
        for (int j = 0; j < 4; ++j) out[i + j] = four[j];
      }
      return out;
    }
  }
#pragma unroll
  for (int i = 0; i < N; ++i) out[i] = from[i];
  return out;
}
template <int N, class T>
__device__ void store(const Floats<N>& from, T* to) {
  Vec<T, N> vec;
#pragma unroll
  for (int i = 0; i < N; ++i) vec.x[i] = from_float<T>(from[i]);
  *reinterpret_cast<Vec<T, N>*>(to) = vec;
}

__device__ inline float warp_sum(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}

/// Replaces every number by its sum over the block's threads (whole warps). All threads must call it.
template <int N>
__device__ void block_sum(float (&x)[N]) {
  __shared__ float of_warp[32][N];
  const int warps = blockDim.x / 32, lane = threadIdx.x % 32;
  __syncthreads();  // the sums of an earlier call may still be being read
#pragma unroll
  for (int i = 0; i < N; ++i) {
    x[i] = warp_sum(x[i]);
    if (lane == 0) of_warp[threadIdx.x / 32][i] = x[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < N; ++i) {
    x[i] = 0;
    for (int w = 0; w < warps; ++w) x[i] += of_warp[w][i];
  }
}

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

}  // namespace ingrain::ops::cuda
