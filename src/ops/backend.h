// Which implementation of an operation runs. Asked once, at the operation's door.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

enum class Backend {
  reference,  // plain ATen formulas: any type, any device; the truth for tests
  cpu,        // Highway kernels: fp32 and bf16 on the CPU
  cuda,       // own .cu kernels: fp32 and bf16 on a GPU
};

/// The fastest backend that takes tensors like `x`; the reference on any device that is neither a CPU nor a CUDA GPU.
Backend backend_for(const Tensor& x);

/// While one lives, every operation of the process runs its reference implementation (tests, benchmarks).
class ReferenceScope {
 public:
  ReferenceScope();
  ~ReferenceScope();
  ReferenceScope(const ReferenceScope&) = delete;
  ReferenceScope& operator=(const ReferenceScope&) = delete;
};

/// Picks one of an operation's three kernel tables.
template <class Kernels>
const Kernels& select(const Tensor& x, const Kernels& reference, const Kernels& cpu, const Kernels& cuda) {
  switch (backend_for(x)) {
    case Backend::cpu: return cpu;
    case Backend::cuda: return cuda;
    case Backend::reference: break;
  }
  return reference;
}

}  // namespace ingrain::ops
