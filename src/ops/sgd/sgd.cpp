#include "ops/sgd/sgd.h"

#include "ops/backend.h"

namespace ingrain::ops {

Tensor clipped_sgd(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B, const Tensor& eta_N, double clip,
                   const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  TORCH_CHECK(!w_B.empty() && g_B.size() == w_B.size() && out_B.size() == w_B.size() &&
                  (rounded_B.empty() || rounded_B.size() == w_B.size()) &&
                  eta_N.numel() == static_cast<int64_t>(w_B.size()),
              "clipped_sgd: as many gradients, rates and outputs as weights, and at least one");
  const at::NoGradGuard no_grad;
  return select(w_B[0], sgd_reference, sgd_cpu, sgd_cuda).step(w_B, g_B, eta_N, clip, out_B, rounded_B);
}

}  // namespace ingrain::ops
