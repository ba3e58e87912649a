// Starting a kernel, and choosing which of a template's instances that is.
#pragma once

#include "ops/cuda/types.h"

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace ingrain::ops::cuda {

struct LaunchShape {
  dim3 grid;
  int threads;
  size_t shared_bytes = 0;
};

/// Throws where a call for a kernel failed. A kernel that went wrong while running is reported by some later call.
inline void check(cudaError_t error, const char* kernel, const LaunchShape& shape) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // so that the next launch does not report this error again
  const auto number = [](auto x) { return std::to_string(x); };
  const dim3& grid = shape.grid;
  throw std::runtime_error(
      std::string("CUDA kernel ") + kernel + " (" + number(grid.x) + " x " + number(grid.y) + " x " + number(grid.z) +
      " blocks of " + number(shape.threads) + " threads and " + number(shape.shared_bytes) +
      " bytes): " + cudaGetErrorString(error) +
      "; an earlier kernel may be the cause: with CUDA_LAUNCH_BLOCKING=1 it is the one that is named");
}

/// Puts a kernel on the stream; never waits for it.
template <class... Expected, class... Actual>
void launch(const char* name, void (*kernel)(Expected...), const LaunchShape& shape, Stream stream, Actual&&... args) {
  constexpr size_t kWithoutAsking = 32 * 1024;  // 48 KiB, of which a kernel's static arrays take their part
  if (shape.shared_bytes > kWithoutAsking)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.shared_bytes)),
          name, shape);
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Actual>(args)...), name, shape);
}

/// A block's dynamic shared memory.
__device__ inline unsigned char* shared_memory() {
  extern __shared__ __align__(128) unsigned char dynamic_shared[];
  return dynamic_shared;
}

template <class T>
struct TypeTag {
  using type = T;
};
template <int kValue>
using Constant = std::integral_constant<int, kValue>;

template <class Run>
void for_type(Number type, Run&& run) {
  type == Number::fp32 ? run(TypeTag<float>{}) : run(TypeTag<__nv_bfloat16>{});
}
template <class Run>
void for_planes(int64_t planes, Run&& run) {
  planes == 1 ? run(Constant<1>{}) : run(Constant<2>{});
}

/// run(type, planes, elements a thread moves at once: 16 bytes of them, or one).
template <class Run>
void for_row_kernel(Number type, int64_t planes, bool vectors, Run&& run) {
  for_type(type, [&](auto tag) {
    constexpr int kVec = 16 / sizeof(typename decltype(tag)::type);
    for_planes(planes, [&](auto P) { vectors ? run(tag, P, Constant<kVec>{}) : run(tag, P, Constant<1>{}); });
  });
}

/// Threads for a block that shares one row: whole warps, a few vectors each.
inline int threads_for_row(int64_t width, int vec) {
  const int64_t warps = divide_up(divide_up(width, vec), 32);
  return static_cast<int>(32 * (warps < 8 ? (warps < 1 ? 1 : warps) : 8));
}

}  // namespace ingrain::ops::cuda
