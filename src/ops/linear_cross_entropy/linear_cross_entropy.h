// The head and the loss in one: logits z = x Eᵀ, next-token cross-entropy, and its gradients, by blocks of tokens
// with the whole vocabulary, or all tokens with pieces of it where it is large, so that no [T, V] matrix is ever
// stored.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

struct CrossEntropy {
  /// The objective J of docs/mathematics.md: sum over rows of  value_weight * nll - tangent_weight * d nll
  /// (the second term only where x has two planes). A scalar, fp32 (fp64). Differentiable once in x and E;
  /// the gradients are computed together with the value, since J is where every backward starts.
  Tensor objective;
  Tensor nll_N;  // -log p(target), fp32 (fp64), not masked, not differentiable
};

/// x: [P, N, D] contiguous, after the final norm; E: [V, D], the same type, native
/// or quantized (ops/quantized: a constant then); target: [N] int64 in [0, V);
/// value_weight, tangent_weight: [N] fp32 (fp64): masks and means are in them (tangent_weight may be undefined if P =
/// 1). Throws c10::Error where shapes, types or devices do not fit; targets are not looked at. E_sum: where it is
/// given, [V, D] in fp32 (fp64), E's gradient is added to it here, as for a backward that starts at the objective with
/// 1, and E is a constant to autograd: a gradient as large as the head is neither rounded, nor scaled, nor added by
/// itself.
CrossEntropy linear_cross_entropy(const Tensor& x_PND, const Tensor& E_VD, const Tensor& target_N,
                                  const Tensor& value_weight_N, const Tensor& tangent_weight_N = {},
                                  const Tensor& E_sum_VD = {});

/// A softmax over the tokens of the vocabulary that were met so far, for each row: of their logits the largest,
/// sum exp(z - max) (fp64), and the target's once it was among them. fp32 (fp64).
struct SoftmaxSoFar {
  Tensor max_N, sum_N, z_y_N;
};

struct CrossEntropyKernels {
  /// From a block's logits z (any P) to the rows' nll and, in place in z, the cotangents of z (and dz):
  ///   cot(dz) = -c (p - y);  cot(z) = a (p - y) - c p (dz - <p, dz>)
  /// with a, c the rows' weights (a negative c turns d nll's sign). `tangent_nll_N` gets <p - y, dz> where P = 2.
  void (*rows)(Tensor& z_PNV, const Tensor& target_N, const Tensor& a_N, const Tensor& c_N, bool want_gradient,
               Tensor& nll_N, Tensor& tangent_nll_N);
  /// The logits z of the vocabulary's tokens first .. first + v join the softmax. Returns exp(max before - max now);
  /// z becomes exp(z - max), where that is wanted.
  Tensor (*piece)(Tensor& z_Nv, int64_t first, const Tensor& target_N, bool want_gradient, SoftmaxSoFar& softmax);
};
extern const CrossEntropyKernels cross_entropy_reference, cross_entropy_cpu, cross_entropy_cuda;
const CrossEntropyKernels& cross_entropy_kernels(const Tensor& x);  // those that run

}  // namespace ingrain::ops
