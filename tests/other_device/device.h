// A second device, acted out in the CPU's memory: what computes on it computes the CPU's numbers, but like a GPU it
// refuses to be mixed with tensors of the CPU, and it counts when the host would wait for it.
#pragma once

#include "ops/aten.h"

namespace ingrain::test {

/// libtorch's place for devices from outside.
inline const at::Device kOther{at::kPrivateUse1, 0};

/// How often the host waited: at .item(), and at copies from or to the device, unless they are told not to wait.
int64_t waits();
/// Tensors that were copied to the CPU.
int64_t downloads();

}  // namespace ingrain::test
