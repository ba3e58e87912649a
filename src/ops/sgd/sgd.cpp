#include "ops/sgd/sgd.h"

#include "ops/checks.h"
#include "ops/backend.h"

namespace ingrain::ops {
namespace {

void check(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B, const Tensor& eta_N,
           const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  TORCH_CHECK(!w_B.empty() && g_B.size() == w_B.size() && out_B.size() == w_B.size() &&
                  (rounded_B.empty() || rounded_B.size() == w_B.size()) &&
                  eta_N.numel() == static_cast<int64_t>(w_B.size()),
              "clipped_sgd: as many gradients, rates and outputs as weights, and at least one");
  TORCH_CHECK(eta_N.device() == w_B[0].device(), "clipped_sgd: the rates must be on the weights' device");
  const auto type = w_B[0].scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kDouble, "clipped_sgd: weights must be fp32 or fp64, not ", type);
  for (size_t i = 0; i < w_B.size(); ++i) {
    const Tensor &w = w_B[i], &g = g_B[i], &out = out_B[i];
    TORCH_CHECK(w.dim() >= 1 && w.size(0) == w_B[0].size(0) && g.sizes() == w.sizes() && out.sizes() == w.sizes(),
                "clipped_sgd: weights ", w.sizes(), ", gradients ", g.sizes(), " and outputs ", out.sizes(), " of ",
                w_B[0].size(0), " sequences do not fit");
    TORCH_CHECK(alike(w, w_B[0]) && alike(g, w) && alike(out, w), "clipped_sgd: all must have one type and device");
    TORCH_CHECK(w.is_contiguous() && out.is_contiguous(), "clipped_sgd: weights must be contiguous");
    if (rounded_B.empty()) continue;
    const Tensor& rounded = rounded_B[i];
    TORCH_CHECK(rounded.sizes() == w.sizes() && rounded.scalar_type() == at::kBFloat16 &&
                    rounded.device() == w.device() && rounded.is_contiguous(),
                "clipped_sgd: rounded weights ", rounded.sizes(), " must be like ", w.sizes(),
                ", in bf16 and contiguous");
  }
}

}  // namespace

Tensor clipped_sgd(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B, const Tensor& eta_N, double clip,
                   const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  check(w_B, g_B, eta_N, out_B, rounded_B);
  const at::NoGradGuard no_grad;
  return select(w_B[0], sgd_reference, sgd_cpu, sgd_cuda).step(w_B, g_B, eta_N, clip, out_B, rounded_B);
}

}  // namespace ingrain::ops
