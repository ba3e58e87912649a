#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/qkv_rope/cuda.h"
#include "ops/qkv_rope/qkv_rope.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

/// Blocks of a backward: several for every multiprocessor of a large GPU.
constexpr int64_t kNormSlices = 1024;

/// What a call points at, kept alive and contiguous.
struct Operands {
  Tensor qkv, q_norm, k_norm, cos, sin;

  Operands(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope)
      : qkv(qkv_PBTC.contiguous()),
        q_norm(cuda::contiguous(q_norm_d)),
        k_norm(cuda::contiguous(k_norm_d)),
        cos(cuda::contiguous(rope.cos_TR)),
        sin(cuda::contiguous(rope.sin_TR)) {}

  QkvRopeCall call(const RopeTable& rope, const HeadShape& shape, double eps) const {
    TORCH_CHECK(qkv.numel() / (planes(qkv) * shape.head_dim) < int64_t{1} << 31,
                "split_heads: 2^31 heads of tokens are too many for one call");
    return {cuda::number(qkv), planes(qkv),      qkv.size(1) * qkv.size(2), qkv.size(2),          shape.q_heads,
            shape.kv_heads,    shape.head_dim,   cuda::floats(q_norm),      cuda::floats(k_norm), cuda::floats(cos),
            cuda::floats(sin), rope.interleaved, static_cast<float>(eps),   qkv.const_data_ptr()};
  }
};

Heads forward(const Tensor& qkv_PBTC, const Tensor& q_norm_d, const Tensor& k_norm_d, const RopeTable& rope,
              const HeadShape& shape, double eps) {
  if (shape.head_dim > cuda::kLargestHead)
    return qkv_rope_reference.forward(qkv_PBTC, q_norm_d, k_norm_d, rope, shape, eps);
  const Operands in(qkv_PBTC, q_norm_d, k_norm_d, rope);
  QkvRopeCall call = in.call(rope, shape, eps);
  const auto part = [&](int64_t heads) {
    return at::empty({call.planes, in.qkv.size(1), call.tokens, heads, shape.head_dim}, in.qkv.options());
  };
  const Heads out{part(shape.q_heads), part(shape.kv_heads), part(shape.kv_heads)};
  if (call.rows == 0) return out;
  call.parts[0] = out.q_PBTHd.data_ptr();
  call.parts[1] = out.k_PBTGd.data_ptr();
  call.parts[2] = out.v_PBTGd.data_ptr();
  const cuda::DeviceScope device(in.qkv.device().index());
  cuda::qkv_rope_forward(call, device.stream());
  return out;
}

QkvRopeKernels::Gradients backward(const Heads& g, const Tensor& qkv_PBTC, const Tensor& q_norm_d,
                                   const Tensor& k_norm_d, const RopeTable& rope, const HeadShape& shape, double eps,
                                   bool want_norms) {
  const int64_t d = shape.head_dim;
  if (d > cuda::kLargestHead || qkv_PBTC.numel() == 0)
    return qkv_rope_reference.backward(g, qkv_PBTC, q_norm_d, k_norm_d, rope, shape, eps, want_norms);
  const Operands in(qkv_PBTC, q_norm_d, k_norm_d, rope);
  QkvRopeCall call = in.call(rope, shape, eps);
  QkvRopeKernels::Gradients out{at::empty_like(in.qkv), {}, {}};
  call.gqkv = out.qkv_PBTC.data_ptr();
  const Tensor g_parts[] = {cuda::contiguous(g.q_PBTHd), cuda::contiguous(g.k_PBTGd), cuda::contiguous(g.v_PBTGd)};
  for (size_t p = 0; p < 3; ++p)
    if (g_parts[p].defined()) call.parts[p] = g_parts[p].data_ptr();
  call.slices = std::min(kNormSlices, call.rows);
  Tensor partial;
  if (want_norms && q_norm_d.defined()) {
    partial = at::empty({call.slices, 2, d}, in.q_norm.options());
    call.partial_g = partial.data_ptr<float>();
  }
  const cuda::DeviceScope device(in.qkv.device().index());
  cuda::qkv_rope_backward(call, device.stream());
  if (!partial.defined()) return out;
  const Tensor g_norms = partial.sum(0);
  out.q_norm_d = g_norms[0];
  out.k_norm_d = g_norms[1];
  return out;
}

}  // namespace

const QkvRopeKernels qkv_rope_cuda{forward, backward};

}  // namespace ingrain::ops
