#include "ops/cuda/precision.h"

#include <ATen/Context.h>

namespace ingrain::ops::cuda {

void ask_for_full_precision() {
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
}

}  // namespace ingrain::ops::cuda
