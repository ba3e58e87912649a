#include "ops/erase_write/parts.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
namespace {

Tensor repeated(const Tensor& x_Hd, int64_t times) { return times == 1 ? x_Hd : x_Hd.repeat_interleave(times, -2); }

}  // namespace

Tensor channel_decay(const Tensor& f_HK, const Tensor& A_log_H, const Tensor& dt_bias_C, int64_t times) {
  TORCH_CHECK(f_HK.dim() >= 2 && times > 0 && A_log_H.dim() == 1 && A_log_H.size(0) == f_HK.size(-2) &&
                  dt_bias_C.dim() == 1 && dt_bias_C.size(0) == f_HK.size(-2) * f_HK.size(-1),
              "channel_decay: ", f_HK.sizes(), ", ", A_log_H.sizes(), " and ", dt_bias_C.sizes(),
              " do not fit each other");
  return captured([=] {
    const Tensor dt_HK = at::softplus(widened(f_HK) + dt_bias_C.view({f_HK.size(-2), f_HK.size(-1)}));
    return repeated(-A_log_H.exp().unsqueeze(-1) * dt_HK, times);
  });
}

Tensor times_sigmoid(const Tensor& x_Hd, const Tensor& gate_Hd, int64_t times) {
  TORCH_CHECK(gate_Hd.dim() >= 2 && times > 0 && x_Hd.dim() == gate_Hd.dim() &&
                  x_Hd.size(-2) == times * gate_Hd.size(-2) && x_Hd.size(-1) == gate_Hd.size(-1),
              "times_sigmoid: ", x_Hd.sizes(), " and ", times, " times ", gate_Hd.sizes(), " do not fit each other");
  return captured([=] { return (widened(x_Hd) * repeated(widened(gate_Hd).sigmoid(), times)).to(x_Hd.scalar_type()); });
}

}  // namespace ingrain::ops
