// What an operation asks at its door.
//
// Kernels take raw pointers, so every operation asks at its door whether shapes, types and devices fit, never looking
// at the numbers. What does not fit is a mistake in the program: c10::Error (TORCH_CHECK), which is what libtorch's own
// operations throw. ingrain::Error (base/error.h) is for what a user can mend: a weight that a quantized form cannot
// hold.
#pragma once

#include "ops/dual.h"
#include "ops/number.h"

#include <ATen/core/grad_mode.h>

namespace ingrain::ops {

/// Whether autograd must record an operation on these tensors.
template <class... Tensors>
bool needs_graph(const Tensors&... tensors) {
  return at::GradMode::is_enabled() && ((tensors.defined() && tensors.requires_grad()) || ...);
}

/// Whether two tensors have one type and lie on one device.
inline bool alike(const Tensor& a, const Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.device() == b.device();
}

/// fp32 for the half precisions, otherwise the type itself: what sums are kept in.
inline at::ScalarType accumulate_type(at::ScalarType type) {
  return type == at::kBFloat16 || type == at::kHalf ? at::kFloat : type;
}

/// x in that type.
inline Tensor widened(const Tensor& x) { return x.to(accumulate_type(x.scalar_type())); }

/// Whether x is of the type that sums for `activations` are kept in, and on their device: slow vectors, statistics.
inline bool is_wide_beside(const Tensor& x, const Tensor& activations) {
  return x.scalar_type() == accumulate_type(activations.scalar_type()) && x.device() == activations.device();
}

/// What a kernel is told of x's type, fp32 or bf16.
inline Number number(const Tensor& x) { return x.scalar_type() == at::kFloat ? Number::fp32 : Number::bf16; }

}  // namespace ingrain::ops
