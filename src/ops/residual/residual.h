// The residual addition, where no norm comes before it (rms_norm.h has the one with a norm).
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// residual + scale x, rounded to their one type. x: [P, ..., D]; residual: [P or 1, ..., D]; a missing plane counts as
/// zero. Differentiable. Throws c10::Error where shapes, types or devices do not fit.
Tensor add_residual(const Tensor& residual_P, const Tensor& x_P, double scale = 1);

/// c10::Error, in the name of `operation`, unless residual is one for x.
void check_residual(const char* operation, const Tensor& residual_P, const Tensor& x_P);

struct ResidualKernels {
  Tensor (*forward)(const Tensor& residual_P, const Tensor& x_P, double scale);
};
/// The reference differentiates itself, and is all that a GPU needs: libtorch's own addition. The CPU's is without
/// gradients.
extern const ResidualKernels residual_reference, residual_cpu, residual_cuda;

}  // namespace ingrain::ops
