// Stands in for CUDA's header of this name where kernels are compiled for the emulator.
#pragma once

#include "cuda_on_cpu/emulator.h"

#include <cmath>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __shared__ thread_local
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
template <class T>
T __ldcs(const T* from) {
  return *from;
}

enum cudaError_t { cudaSuccess = 0 };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return ""; }
constexpr int cudaFuncAttributeMaxDynamicSharedMemorySize = 0;
inline cudaError_t cudaFuncSetAttribute(const void*, int, int) { return cudaSuccess; }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  CUstream_st* stream = nullptr;
};

template <class... Expected, class... Actual>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Expected...), Actual&&... args) {
  const dim3 g = config->gridDim, b = config->blockDim;
  ingrain::test::gpu::run({g.x, g.y, g.z}, {b.x, b.y, b.z}, config->dynamicSmemBytes, [&] { kernel(args...); });
  return cudaSuccess;
}

inline void __syncthreads() { ingrain::test::gpu::block_barrier(); }
inline int __syncthreads_or(int predicate) { return ingrain::test::gpu::any_of_block(predicate != 0); }
inline void __syncwarp() { ingrain::test::gpu::warp_barrier(); }
inline float __shfl_xor_sync(unsigned, float x, int lane_xor) {
  return ingrain::test::gpu::OfAllLanes<float>(x)[ingrain::test::gpu::lane() ^ lane_xor];
}

inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
