// Planes: the leading axis P of every activation.
//
// P = 1 is an ordinary tensor. P = 2 is a dual number: plane 0 the value, plane 1 its tangent (the directional
// derivative along the fast weights' direction, DESIGN.md section 4). Products with slow weights need not know:
// the tangent of x w is (dx) w, so both planes are rows of one product. The non-linear operations look at P.
// A missing plane is a zero tangent.
//
// Kernels take raw pointers, so every operation asks at its door whether shapes, types and devices fit, never looking
// at the numbers. What does not fit is a mistake in the program: c10::Error (TORCH_CHECK), which is what libtorch's own
// operations throw. ingrain::Error (base/error.h) is for what a user can mend: a weight that a packed form cannot hold.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace ingrain {

using at::Tensor;

namespace ops {

inline int64_t planes(const Tensor& x_P) { return x_P.size(0); }
inline Tensor value(const Tensor& x_P) { return x_P.select(0, 0); }
inline Tensor tangent(const Tensor& x_P) { return x_P.select(0, 1); }

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

/// Whether x is of the type that sums for `activations` are kept in, and on their device: slow vectors, statistics.
inline bool is_wide_beside(const Tensor& x, const Tensor& activations) {
  return x.scalar_type() == accumulate_type(activations.scalar_type()) && x.device() == activations.device();
}

}  // namespace ops
}  // namespace ingrain
