// In place of gpus.cu where the build has no CUDA kernels.
#include "model/gpus.h"

namespace ingrain {

Gpus find_gpus() { return {}; }

}  // namespace ingrain
