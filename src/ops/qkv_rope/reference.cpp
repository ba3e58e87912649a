#include "ops/qkv_rope/qkv_rope.h"
#include "ops/checks.h"
#include "ops/rms_norm/rms_norm.h"

namespace ingrain::ops {
namespace {

/// Rotates the last axis of x [P, B, T, heads, d] by the table's angles, or back by them (sign = -1).
Tensor rotate(const Tensor& x, const RopeTable& rope, double sign) {
  const Tensor cos = rope.cos_TR.to(x.scalar_type()).unsqueeze(1);
  const Tensor sin = rope.sin_TR.to(x.scalar_type()).unsqueeze(1) * sign;
  if (rope.interleaved) {
    const Tensor pairs = x.unflatten(-1, {-1, 2});
    const Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
    return at::stack({a * cos - b * sin, b * cos + a * sin}, -1).flatten(-2);
  }
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

struct Parts {
  Tensor q, k, v;
};

Parts split(const Tensor& qkv_PBTC, const HeadShape& s) {
  const auto part = [&](int64_t first, int64_t heads) {
    return qkv_PBTC.narrow(-1, first * s.head_dim, heads * s.head_dim).unflatten(-1, {heads, s.head_dim});
  };
  return {part(0, s.q_heads), part(s.q_heads, s.kv_heads), part(s.q_heads + s.kv_heads, s.kv_heads)};
}

Heads forward(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
              const HeadShape& shape, double eps) {
  const auto type = qkv_PBTC.scalar_type();
  const auto [q, k, v] = split(qkv_PBTC.to(accumulate_type(type)), shape);
  const auto norm_and_rotate = [&](const Tensor& x, const Tensor& w_d) {
    const Tensor normed =
        w_d.defined() ? rms_norm_reference.forward(Tensor(), x, w_d, eps).to(type).to(x.scalar_type()) : x;
    return rotate(normed, rope, 1).to(type).contiguous();
  };
  return {norm_and_rotate(q, q_norm_d), norm_and_rotate(k, k_norm_d), v.to(type).contiguous()};
}

QkvRopeKernels::Gradients backward(const Heads& g, const Tensor& qkv_PBTC, const Tensor& q_norm_d,
                                   const Tensor& k_norm_d, const RopeTable& rope, const HeadShape& shape, double eps,
                                   bool want_norms) {
  const auto type = qkv_PBTC.scalar_type(), acc = accumulate_type(type);
  const Tensor gqkv = at::zeros(qkv_PBTC.sizes(), qkv_PBTC.options().dtype(acc));
  const Parts x = split(qkv_PBTC.to(acc), shape), gx = split(gqkv, shape);
  QkvRopeKernels::Gradients out;
  const auto back = [&](const Tensor& g_out, const Tensor& x, const Tensor& w_d, const Tensor& gx, Tensor& gw_d) {
    if (!g_out.defined()) {
      if (want_norms && w_d.defined()) gw_d = at::zeros_like(w_d);
      return;
    }
    Tensor g_in = rotate(g_out.to(acc), rope, -1);
    if (w_d.defined()) {
      const auto gradients = rms_norm_reference.backward(g_in, x, w_d, eps, want_norms);
      g_in = gradients.x_PND;
      gw_d = gradients.w_D;
    }
    gx.copy_(g_in);
  };
  back(g.q_PBTHd, x.q, q_norm_d, gx.q, out.q_norm_d);
  back(g.k_PBTGd, x.k, k_norm_d, gx.k, out.k_norm_d);
  if (g.v_PBTGd.defined()) gx.v.copy_(g.v_PBTGd);
  out.qkv_PBTC = gqkv.to(type);
  return out;
}

}  // namespace

const QkvRopeKernels qkv_rope_reference{forward, backward};

}  // namespace ingrain::ops
