#include "ops/linear_cross_entropy/pieces.h"

#include "ops/checks.h"
#include "ops/linear/products.h"
#include "ops/quantized/quantized.h"

#include <limits>

namespace ingrain::ops {

CrossEntropyInPieces::CrossEntropyInPieces(const Tensor& x_ND, const Tensor& target_N, bool want_gradient)
    : x_ND_(x_ND.detach()), target_N_(target_N), want_gradient_(want_gradient) {
  TORCH_CHECK(x_ND.dim() == 2 && target_N.dim() == 1 && target_N.size(0) == x_ND.size(0),
              "cross-entropy in pieces: targets ", target_N.sizes(), " do not fit rows ", x_ND.sizes());
  const auto sums = x_ND.options().dtype(accumulate_type(x_ND.scalar_type()));
  const int64_t N = x_ND.size(0);
  softmax_ = {at::full({N}, -std::numeric_limits<double>::infinity(), sums), at::zeros({N}, sums.dtype(at::kDouble)),
              at::zeros({N}, sums)};
  if (want_gradient) weighted_ND_ = at::zeros({N, x_ND.size(1)}, sums);
}

void CrossEntropyInPieces::add(const Tensor& E_VD, int64_t rows) {
  const at::NoGradGuard no_grad;
  const Tensor E_vD = rows_of(E_VD, added_, rows);
  // Expanded once, for both products.
  if (is_quantized(E_vD) && x_ND_.size(0) > kFewRowsOfQuantized)
    for_each_tile(E_vD, x_ND_.scalar_type(), [&](int64_t, const Tensor& tile_vD) { add_native(tile_vD); });
  else
    add_native(E_vD);
}

void CrossEntropyInPieces::add_native(const Tensor& E_vD) {
  Tensor z_Nv = product_nt(x_ND_, E_vD);
  const Tensor shrink_N = cross_entropy_kernels(x_ND_).piece(z_Nv, added_, target_N_, want_gradient_, softmax_);
  if (want_gradient_)
    weighted_ND_ = at::addcmul(product_nn(z_Nv, E_vD).to(shrink_N.scalar_type()), weighted_ND_, shrink_N.unsqueeze(1));
  added_ += E_vD.size(0);
}

Tensor CrossEntropyInPieces::nll_N() const {
  return (softmax_.sum_N.log() + softmax_.max_N - softmax_.z_y_N).to(softmax_.max_N.scalar_type());
}

Tensor CrossEntropyInPieces::gradient_ND(const Tensor& E_VD) const {
  const at::ScalarType type = weighted_ND_.scalar_type();
  const Tensor E_y_ND =
      is_quantized(E_VD) ? quantized_lookup(E_VD, target_N_) : at::embedding(E_VD.detach(), target_N_);
  return weighted_ND_ / softmax_.sum_N.to(type).unsqueeze(1) - E_y_ND.to(type);
}

}  // namespace ingrain::ops
