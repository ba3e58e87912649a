#include "ops/rms_norm/rms_norm.h"

#include "ops/checks.h"
#include "ops/backend.h"
#include "ops/residual/residual.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const RmsNormKernels& rms_norm_kernels(const Tensor& x) {
  return select(x, rms_norm_reference, rms_norm_cpu, rms_norm_cuda);
}

void check(const char* operation, const Tensor& x, const Tensor& w_D) {
  TORCH_CHECK(x.dim() >= 2 && (planes(x) == 1 || planes(x) == 2) && w_D.dim() == 1 && w_D.size(0) == x.size(-1),
              operation, ": rows ", x.sizes(), " do not fit a scale ", w_D.sizes());
  TORCH_CHECK(is_wide_beside(w_D, x), operation,
              ": the scale must be fp32 (fp64 for fp64) and on the device of the rows");
}

/// The residual's gradient is the output's own, so it is formed here and not in the kernels.
struct RmsNormFunction : torch::autograd::Function<RmsNormFunction> {
  static Tensor forward(AutogradContext* ctx, const std::optional<Tensor>& residual, const Tensor& x, const Tensor& w_D,
                        double eps) {
    ctx->save_for_backward({x, w_D});
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["residual_planes"] = residual ? planes(*residual) : int64_t{0};
    return rms_norm_kernels(x).forward(residual.value_or(Tensor()), x, w_D, eps);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor gy = grads[0].contiguous();
    const int64_t residual_planes = ctx->saved_data["residual_planes"].toInt();
    const bool want_w = ctx->needs_input_grad(residual_planes ? 2 : 1);  // an absent residual has no edge
    const auto [gx, gw_D] = rms_norm_kernels(x).backward(gy, x, saved[1], ctx->saved_data["eps"].toDouble(), want_w);
    const Tensor g_residual = residual_planes ? gy.narrow(0, 0, residual_planes) : Tensor();
    return {g_residual, gx, gw_D, Tensor()};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& w_D, double eps) {
  check("rms_norm", x, w_D);
  if (!needs_graph(x, w_D)) return rms_norm_kernels(x).forward(Tensor(), x, w_D, eps);
  return RmsNormFunction::apply(std::optional<Tensor>(), x, w_D, eps);
}

Tensor add_rms_norm(const Tensor& residual, const Tensor& x, const Tensor& w_D, double eps) {
  check("add_rms_norm", x, w_D);
  check_residual("add_rms_norm", residual, x);
  if (!needs_graph(residual, x, w_D)) return rms_norm_kernels(x).forward(residual, x, w_D, eps);
  return RmsNormFunction::apply(std::optional<Tensor>(residual), x, w_D, eps);
}

}  // namespace ingrain::ops
