#include "ops/linear_cross_entropy/linear_cross_entropy.h"

#include "ops/checks.h"

namespace ingrain::ops {
namespace {

void rows(Tensor& z_PNV, const Tensor& target_N, const Tensor& a_N, const Tensor& c_N, bool want_gradient,
          Tensor& nll_N, Tensor& tangent_nll_N) {
  const Tensor z_P = z_PNV.to(accumulate_type(z_PNV.scalar_type()));
  const Tensor target_N1 = target_N.unsqueeze(1), a_N1 = a_N.unsqueeze(1);
  const Tensor log_p = primal(z_P).log_softmax(-1), p = log_p.exp();
  nll_N.copy_(-log_p.gather(1, target_N1).squeeze(1));
  Tensor minus_y = p.clone();
  minus_y.scatter_add_(1, target_N1, at::full_like(target_N1, -1, p.options()));  // p - y
  Tensor gz = a_N1 * minus_y;
  if (is_dual(z_P)) {
    const Tensor dz = tangent(z_P), c_N1 = c_N.unsqueeze(1);
    const Tensor mean_dz = (p * dz).sum(-1, /*keepdim=*/true);
    tangent_nll_N.copy_((mean_dz - dz.gather(1, target_N1)).squeeze(1));
    gz = gz - c_N1 * p * (dz - mean_dz);
    if (want_gradient) tangent(z_PNV).copy_(-c_N1 * minus_y);
  }
  if (want_gradient) primal(z_PNV).copy_(gz);
}

Tensor piece(Tensor& z_Nv, int64_t first, const Tensor& target_N, bool want_gradient, SoftmaxSoFar& softmax) {
  const int64_t v = z_Nv.size(1);
  const Tensor z = z_Nv.to(softmax.max_N.scalar_type()), max_N = at::maximum(softmax.max_N, z.amax(1)),
               shrink_N = (softmax.max_N - max_N).exp();
  const Tensor here_N = target_N - first, is_here_N = here_N.ge(0).logical_and(here_N.lt(v));
  const Tensor z_of_target_N = z.gather(1, here_N.clamp(0, v - 1).unsqueeze(1)).squeeze(1);
  softmax.z_y_N = at::where(is_here_N, z_of_target_N, softmax.z_y_N);
  const Tensor p_Nv = (z - max_N.unsqueeze(1)).exp();
  softmax.sum_N = softmax.sum_N * shrink_N + p_Nv.to(at::kDouble).sum(1);
  softmax.max_N = max_N;
  if (want_gradient) z_Nv.copy_(p_Nv);
  return shrink_N;
}

}  // namespace

const CrossEntropyKernels cross_entropy_reference{rows, piece};

}  // namespace ingrain::ops
