#include "ops/cuda/device.h"

#include "ops/cuda/precision.h"

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

namespace ingrain::ops::cuda {

DeviceScope::DeviceScope(int index)
    : index_(index), previous_(c10::cuda::ExchangeDevice(static_cast<c10::DeviceIndex>(index))) {
  [[maybe_unused]] static const bool asked = (ask_for_full_precision(), true);
}

DeviceScope::~DeviceScope() { c10::cuda::MaybeSetDevice(static_cast<c10::DeviceIndex>(previous_)); }

Stream DeviceScope::stream() const {
  return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(index_)).stream();
}

size_t DeviceScope::shared_memory() const {
  int bytes = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, index_));
  return static_cast<size_t>(bytes);
}

}  // namespace ingrain::ops::cuda
