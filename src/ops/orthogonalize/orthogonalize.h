// Newton and Schulz's iteration, which makes a matrix' singular values alike: the direction of Muon's step (Jordan and
// others, "Muon: An optimizer for hidden layers in neural networks", 2024, with the coefficients given there).
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain::ops {

/// Of N matrices x [N, R, C], fp32 (fp64), each by itself: X = x / |x|, five times X <- a X + (b A + d A A) X with
/// A = X Xᵀ, and y = sqrt(max(1, R / C)) X. Neither is differentiable. Throws c10::Error where shapes or types do not
/// fit.
class Orthogonalized {
 public:
  /// products: the type of the iteration's matrices, x's or bf16 (whose sums are kept in fp32); where a processor's
  /// products of bf16 are slow it is x's. keep: whether transposed() will be called.
  Orthogonalized(const Tensor& x_NRC, at::ScalarType products, bool keep = false);

  /// Singular values of about sqrt(max(1, R / C)) in place of x's; zero stays zero. Like x.
  const Tensor& y_NRC() const { return y_NRC_; }

  /// The transpose of y's derivative at x, applied to u; at zero it is zero. Like x.
  Tensor transposed(const Tensor& u_NRC) const;

 private:
  struct Iteration {
    Tensor X, A, P;  // P: b A + d A A
  };
  Tensor lying(const Tensor& x_NRC) const;  // as wide as it is high, or wider; its own transpose

  bool tall_;
  double scale_;
  at::ScalarType products_;
  Tensor X0_NRC_, norm_N11_, y_NRC_;
  std::vector<Iteration> kept_;
};

}  // namespace ingrain::ops
