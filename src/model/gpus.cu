#include "model/gpus.h"

#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

namespace ingrain {

Gpus find_gpus() {
  Gpus out{.kernels = true, .capabilities = {}};
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // or the next kernel's launch would report it
    return out;
  }
  for (int i = 0; i < count; ++i) {
    int major = 0, minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, i);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, i);
    out.capabilities.push_back(10 * major + minor);
    cudaDeviceProp properties{};
    out.names.emplace_back(cudaGetDeviceProperties(&properties, i) == cudaSuccess ? properties.name : "a GPU");
  }
  return out;
}

std::optional<int64_t> free_gpu_memory(int gpu) {
  int before = 0;
  size_t free = 0, total = 0;
  if (cudaGetDevice(&before) != cudaSuccess) return std::nullopt;
  const bool known = cudaSetDevice(gpu) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess;
  cudaSetDevice(before);
  cudaGetLastError();
  return known ? std::optional(static_cast<int64_t>(free)) : std::nullopt;
}

void* current_stream(int gpu) { return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(gpu)).stream(); }

}  // namespace ingrain
