// Cross-entropy of few rows with the vocabulary taken a piece at a time, for work that is spread over time.
#pragma once

#include "ops/dual.h"

namespace ingrain::ops {

/// The sum of -log p(target) over rows and its gradient with respect to x, from logits z = x Eᵀ of which only a piece
/// is ever there. With m the largest z so far, s = sum exp(z - m) and a = sum exp(z - m) E_v are carried on from piece
/// to piece, as attention carries them over keys; then  nll = log s + m - z_y  and  d nll / d x = a / s - E_y.  Not
/// differentiable. A value.
class CrossEntropyInPieces {
 public:
  /// x: [N, D], target: [N] int64 in [0, V). Throws c10::Error for other shapes, as add() does.
  CrossEntropyInPieces(const Tensor& x_ND, const Tensor& target_N);
  /// The next rows of E: [V, D], x's type, perhaps quantized, the same in every call.
  void add(const Tensor& E_VD, int64_t rows);
  int64_t added() const { return added_; }  // rows

  /// After all rows: [N] and [N, D], fp32 (fp64).
  Tensor nll_N() const { return log_sum_N() - z_y_N_; }
  Tensor gradient_ND(const Tensor& E_VD) const;

 private:
  Tensor log_sum_N() const { return sum_N_.log() + max_N_; }

  Tensor x_ND_, target_N_;
  int64_t added_ = 0;
  Tensor max_N_, sum_N_, weighted_ND_, z_y_N_;
};

}  // namespace ingrain::ops
