// The residual addition, where no norm comes before it (rms_norm.h has the one with a norm).
#pragma once

#include "ops/planes.h"

namespace ingrain::ops {

/// residual + x, rounded to their one type. x: [P, ..., D]; residual: [P or 1, ..., D]; a missing plane counts as zero.
/// Differentiable.
Tensor add_residual(const Tensor& residual_P, const Tensor& x_P);

struct ResidualKernels {
  Tensor (*forward)(const Tensor& residual, const Tensor& x);  // of one shape; without gradients
};
extern const ResidualKernels residual_cpu;  // elsewhere libtorch's own addition is as fast

}  // namespace ingrain::ops
