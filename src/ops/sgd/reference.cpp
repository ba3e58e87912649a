#include "ops/sgd/sgd.h"

namespace ingrain::ops {
namespace {

Tensor step(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B, const Tensor& eta_N, double clip,
            const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  Tensor squares_B = at::zeros({w_B[0].size(0)}, w_B[0].options());
  for (const Tensor& g : g_B) squares_B = squares_B + g.flatten(1).square().sum(1);
  const Tensor norm_B = squares_B.sqrt();
  const Tensor scale_B = (clip / norm_B).clamp_max(1.0);  // |g| = 0 gives min(1, inf) = 1
  for (size_t i = 0; i < w_B.size(); ++i) {
    std::vector<int64_t> shape(static_cast<size_t>(w_B[i].dim()), 1);
    shape[0] = -1;
    Tensor out = out_B[i];
    at::addcmul_out(out, w_B[i], g_B[i], -(scale_B * eta_N[static_cast<int64_t>(i)]).view(shape));
  }
  for (size_t i = 0; i < rounded_B.size(); ++i) rounded_B[i].copy_(out_B[i]);
  return norm_B;
}

}  // namespace

const SgdKernels sgd_reference{step};

}  // namespace ingrain::ops
