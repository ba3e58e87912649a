// In place of gpus.cu where the build has no CUDA kernels.
#include "model/gpus.h"

namespace ingrain {

Gpus find_gpus() { return {}; }
std::optional<int64_t> free_gpu_memory(int) { return std::nullopt; }
void* current_stream(int) { return nullptr; }

}  // namespace ingrain
