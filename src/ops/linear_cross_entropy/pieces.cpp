#include "ops/linear_cross_entropy/pieces.h"

#include "ops/checks.h"
#include "ops/linear/products.h"
#include "ops/quantized/quantized.h"

#include <limits>

namespace ingrain::ops {

CrossEntropyInPieces::CrossEntropyInPieces(const Tensor& x_ND, const Tensor& target_N)
    : x_ND_(x_ND.detach()), target_N_(target_N) {
  TORCH_CHECK(x_ND.dim() == 2 && target_N.dim() == 1 && target_N.size(0) == x_ND.size(0),
              "cross-entropy in pieces: targets ", target_N.sizes(), " do not fit rows ", x_ND.sizes());
  const auto sums = x_ND.options().dtype(accumulate_type(x_ND.scalar_type()));
  const int64_t N = x_ND.size(0);
  max_N_ = at::full({N}, -std::numeric_limits<double>::infinity(), sums);
  sum_N_ = at::zeros({N}, sums);
  weighted_ND_ = at::zeros({N, x_ND.size(1)}, sums);
  z_y_N_ = at::zeros({N}, sums);
}

void CrossEntropyInPieces::add(const Tensor& E_VD, int64_t rows) {
  const at::NoGradGuard no_grad;
  const Tensor E_vD = rows_of(E_VD, added_, rows);
  const Tensor z_Nv = product_nt(x_ND_, E_vD).to(max_N_.scalar_type());
  const Tensor max_N = at::maximum(max_N_, z_Nv.amax(1)), shrink_N = (max_N_ - max_N).exp_();
  const Tensor here_N = target_N_ - added_, is_here_N = here_N.ge(0).logical_and_(here_N.lt(rows));
  const Tensor z_of_target_N = z_Nv.gather(1, here_N.clamp(0, rows - 1).unsqueeze(1)).squeeze(1);
  z_y_N_ = at::where(is_here_N, z_of_target_N, z_y_N_);
  const Tensor p_Nv = (z_Nv - max_N.unsqueeze(1)).exp_();
  // Out of place: a copy of this value goes on by itself.
  sum_N_ = sum_N_ * shrink_N + p_Nv.sum(1);
  weighted_ND_ = weighted_ND_ * shrink_N.unsqueeze(1) + product_nn(p_Nv.to(x_ND_.scalar_type()), E_vD);
  max_N_ = max_N;
  added_ += rows;
}

Tensor CrossEntropyInPieces::gradient_ND(const Tensor& E_VD) const {
  return weighted_ND_ / sum_N_.unsqueeze(1) -
         (is_quantized(E_VD) ? quantized_lookup(E_VD, target_N_) : at::embedding(E_VD.detach(), target_N_))
             .to(sum_N_.scalar_type());
}

}  // namespace ingrain::ops
