#include "ops/windowed_attention/parts.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {

Tensor joined_qkv(const Tensor& q_PBTC, const Tensor& k_PBTC, const Tensor& v_PBTC) {
  return captured([=] { return at::cat({q_PBTC, k_PBTC, v_PBTC}, -1); });
}

Tensor scaled_queries(const Tensor& q_PBTHd, const Tensor& factor) {
  TORCH_CHECK(q_PBTHd.dim() == 5 && factor.dim() == 1, "scaled_queries: ", q_PBTHd.sizes(), " and ", factor.sizes());
  const bool each = q_PBTHd.size(2) == 1 && q_PBTHd.size(1) > 1 && factor.size(0) == q_PBTHd.size(1);
  const Tensor factor_BTHd = each ? factor.view({-1, 1, 1, 1}) : factor.view({-1, 1, 1});
  return captured([=] { return (q_PBTHd * factor_BTHd).to(q_PBTHd.scalar_type()); });
}

void add_sink_logit(const Tensor& logit_H, Heads& heads) {
  const cpu::Capture::Scope aside(nullptr);  // constants: captured work need not make them again
  const Tensor& q = heads.q_PBTHd;
  const Tensor s_BTH = logit_H.to(q.scalar_type()).expand({q.size(1), q.size(2), q.size(3)});
  heads.sink_PBTH = is_dual(q) ? at::stack({s_BTH, at::zeros_like(s_BTH)}) : s_BTH.contiguous().unsqueeze(0);
  heads.sink_v_Gd = at::zeros({heads.k_PBTGd.size(3), heads.k_PBTGd.size(4)}, q.options());
  heads.sink_always = true;
}

Tensor sigmoid_gate(const Tensor& o_PBTC, const Tensor& z_PBTC) {
  return captured([=] {
    const Tensor o = widened(primal(o_PBTC)), s = widened(primal(z_PBTC)).sigmoid(), y = o * s;
    if (!is_dual(o_PBTC) && !is_dual(z_PBTC)) return y.to(o_PBTC.scalar_type()).unsqueeze(0);
    Tensor dy = at::zeros_like(y);
    if (is_dual(o_PBTC)) dy = dy + widened(tangent(o_PBTC)) * s;
    if (is_dual(z_PBTC)) dy = dy + y * (1 - s) * widened(tangent(z_PBTC));
    return at::stack({y, dy}).to(o_PBTC.scalar_type());
  });
}

}  // namespace ingrain::ops
