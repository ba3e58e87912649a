// Cross-entropy with the vocabulary taken a piece at a time: for work that is spread over time, and for vocabularies of
// which a block of rows would have too many logits.
#pragma once

#include "ops/linear_cross_entropy/linear_cross_entropy.h"

namespace ingrain::ops {

/// The sum of -log p(target) over rows and its gradient with respect to x, from logits z = x Eᵀ of which only a piece
/// is ever there. With m the largest z so far, s = sum exp(z - m) and a = sum exp(z - m) E_v are carried on from piece
/// to piece, as attention carries them over keys; then  nll = log s + m - z_y  and  d nll / d x = a / s - E_y.  Not
/// differentiable. A value: a copy goes on by itself.
class CrossEntropyInPieces {
 public:
  /// x: [N, D], target: [N] int64 in [0, V). Throws c10::Error for other shapes, as add() does.
  CrossEntropyInPieces(const Tensor& x_ND, const Tensor& target_N, bool want_gradient = true);
  /// The next rows of E: [V, D], x's type, perhaps quantized, the same in every call.
  void add(const Tensor& E_VD, int64_t rows);
  int64_t added() const { return added_; }  // rows

  /// After all rows: [N] and, if it is wanted, [N, D]; fp32 (fp64).
  Tensor nll_N() const;
  Tensor gradient_ND(const Tensor& E_VD) const;

 private:
  void add_native(const Tensor& E_vD);

  Tensor x_ND_, target_N_;
  bool want_gradient_;
  int64_t added_ = 0;
  SoftmaxSoFar softmax_;
  Tensor weighted_ND_;
};

}  // namespace ingrain::ops
