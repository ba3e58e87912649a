// The GPUs of this machine, as far as this build can compute on them. No torch in this header: gpus.cu is the CUDA
// compiler's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ingrain {

struct Gpus {
  bool kernels = false;                 // whether this build has the CUDA kernels
  std::vector<int> capabilities;        // one a GPU, by its number: 90 for compute capability 9.0
  std::vector<std::string> names = {};  // as the driver calls them: "NVIDIA H100 80GB HBM3"
};

/// What the driver says. No GPUs where there is no driver, or one that is too old for this CUDA.
Gpus find_gpus();

/// Bytes that GPU number `gpu` can still give to this process.
std::optional<int64_t> free_gpu_memory(int gpu);

/// libtorch's current CUDA stream of the calling thread on this GPU; null where the build has no CUDA kernels.
void* current_stream(int gpu);

}  // namespace ingrain
