#include "ops/qkv_rope/qkv_rope.h"

#include "ops/checks.h"
#include "ops/backend.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const QkvRopeKernels& qkv_rope_kernels(const Tensor& x) {
  return select(x, qkv_rope_reference, qkv_rope_cpu, qkv_rope_cuda);
}

struct HeadsFunction : torch::autograd::Function<HeadsFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& qkv_PBTC, const std::optional<Tensor>& q_norm_d,
                               const std::optional<Tensor>& k_norm_d, const RopeTable& rope, const HeadShape& shape,
                               double eps) {
    const Tensor q_norm = q_norm_d.value_or(Tensor()), k_norm = k_norm_d.value_or(Tensor());
    ctx->save_for_backward({qkv_PBTC, q_norm, k_norm, rope.cos_TR, rope.sin_TR});
    ctx->saved_data["interleaved"] = rope.interleaved;
    ctx->saved_data["shape"] = std::vector<int64_t>{shape.q_heads, shape.kv_heads, shape.head_dim};
    ctx->saved_data["eps"] = eps;
    ctx->set_materialize_grads(false);
    const Heads heads = qkv_rope_kernels(qkv_PBTC).forward(qkv_PBTC, q_norm, k_norm, rope, shape, eps);
    return {heads.q_PBTHd, heads.k_PBTGd, heads.v_PBTGd};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto shape = ctx->saved_data["shape"].toIntVector();
    const RopeTable rope{saved[3], saved[4], ctx->saved_data["interleaved"].toBool()};
    Heads g{grads[0], grads[1], grads[2]};
    for (Tensor* part : {&g.q_PBTHd, &g.k_PBTGd, &g.v_PBTGd})
      if (part->defined()) *part = part->contiguous();
    const bool want_norms = saved[1].defined() && ctx->needs_input_grad(1);
    const auto out =
        qkv_rope_kernels(saved[0]).backward(g, saved[0], saved[1], saved[2], rope, {shape[0], shape[1], shape[2]},
                                            ctx->saved_data["eps"].toDouble(), want_norms);
    return {out.qkv_PBTC, out.q_norm_d, out.k_norm_d, Tensor(), Tensor(), Tensor()};
  }
};

void check(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
           const HeadShape& shape) {
  TORCH_CHECK(qkv_PBTC.dim() == 4 && (planes(qkv_PBTC) == 1 || planes(qkv_PBTC) == 2) && shape.q_heads > 0 &&
                  shape.kv_heads > 0 && shape.head_dim > 0 && shape.head_dim % 2 == 0 &&
                  qkv_PBTC.size(3) == shape.width(),
              "split_heads: a projection ", qkv_PBTC.sizes(), " does not hold ", shape.q_heads, " + 2 x ",
              shape.kv_heads, " heads of ", shape.head_dim);
  const int64_t sizes_TR[] = {qkv_PBTC.size(2), shape.head_dim / 2};
  const at::IntArrayRef angles_TR(sizes_TR);
  TORCH_CHECK(rope.cos_TR.sizes() == angles_TR && rope.sin_TR.sizes() == angles_TR &&
                  is_wide_beside(rope.cos_TR, qkv_PBTC) && is_wide_beside(rope.sin_TR, qkv_PBTC),
              "split_heads: rotations ", rope.cos_TR.sizes(), " and ", rope.sin_TR.sizes(), " must be ", angles_TR,
              ", fp32 (fp64 for fp64), on the projection's device");
  TORCH_CHECK(q_norm_d.defined() == k_norm_d.defined(), "split_heads: q and k are both normed, or neither");
  if (!q_norm_d.defined()) return;
  for (const Tensor& norm : {q_norm_d, k_norm_d})
    TORCH_CHECK(norm.dim() == 1 && norm.size(0) == shape.head_dim && is_wide_beside(norm, qkv_PBTC),
                "split_heads: a norm ", norm.sizes(), " must be of ", shape.head_dim,
                " numbers, fp32 (fp64 for fp64), on the projection's device");
}

std::optional<Tensor> maybe(const Tensor& x) { return x.defined() ? std::optional<Tensor>(x) : std::nullopt; }

}  // namespace

Heads split_heads(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
                  const HeadShape& shape, double eps) {
  // A token a sequence, each at its own position: to the kernels one sequence of so many tokens.
  if (qkv_PBTC.dim() == 4 && qkv_PBTC.size(2) == 1 && qkv_PBTC.size(1) > 1 && rope.cos_TR.dim() == 2 &&
      rope.cos_TR.size(0) == qkv_PBTC.size(1)) {
    const Heads heads = split_heads(qkv_PBTC.transpose(1, 2), q_norm_d, k_norm_d, rope, shape, eps);
    return {heads.q_PBTHd.transpose(1, 2), heads.k_PBTGd.transpose(1, 2), heads.v_PBTGd.transpose(1, 2)};
  }
  check(qkv_PBTC, q_norm_d, k_norm_d, rope, shape);
  if (!needs_graph(qkv_PBTC, q_norm_d, k_norm_d))
    return qkv_rope_kernels(qkv_PBTC).forward(qkv_PBTC, q_norm_d, k_norm_d, rope, shape, eps);
  const auto out = HeadsFunction::apply(qkv_PBTC, maybe(q_norm_d), maybe(k_norm_d), rope, shape, eps);
  return {out[0], out[1], out[2]};
}

}  // namespace ingrain::ops
