#include "ops/windowed_attention/cuda/attention.h"

#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/windowed_attention/cuda/flash.h"
#include "ops/windowed_attention/operands.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

/// `also`: tensors like q that a kernel moves, too.
bool in_vectors(const AttentionCall& c, std::initializer_list<const void*> also) {
  const auto strides = [&](const KeySource& x) {
    return cuda::in_vectors(c.type, x.past_stride, {}) && cuda::in_vectors(c.type, x.past_batch_stride, {});
  };
  return cuda::in_vectors(c.type, c.head_dim, {c.q, c.k.past, c.k.now, c.v.past, c.v.now}) &&
         cuda::in_vectors(c.type, c.head_dim, also) && strides(c.k) && strides(c.v);
}

/// Whether our own kernels take these tensors; where not, the reference formulas do the work.
bool has_kernel(const Tensor& q, const cuda::DeviceScope& device) {
  return q.size(4) <= cuda::kLargestAttentionHead &&
         cuda::attention_shared_memory(cuda::number(q), planes(q), q.size(4)) <= device.shared_memory();
}

AttentionKernels::Output forward(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past,
                                 int64_t window, double scale) {
  const cuda::DeviceScope device(q.device().index());
  if (cuda::has_flash_attention(q)) return cuda::flash_forward(q, k, v, past, window, scale);
  if (!has_kernel(q, device)) return attention_reference.forward(q, k, v, past, window, scale);
  const AttentionOperands operands(q, k, v, past, window, scale);
  AttentionCall c = operands.call();
  const Tensor o = at::empty(q.sizes(), q.options());
  const Tensor stats = at::empty({c.planes, c.batch, c.q_heads, c.tokens}, q.options().dtype(at::kFloat));
  if (o.numel() == 0) return {o, stats};
  c.vectors = in_vectors(c, {o.data_ptr()});
  float* const lse = stats.data_ptr<float>();
  cuda::attention_forward({c, o.data_ptr(), lse, c.planes == 2 ? lse + stats.stride(0) : nullptr}, device.stream());
  return {o, stats};
}

AttentionKernels::Gradients backward(const Tensor& go_in, const Tensor& q, const Tensor& k, const Tensor& v,
                                     const KvWindow& past, const AttentionKernels::Output& output, int64_t window,
                                     double scale, bool want_past) {
  const cuda::DeviceScope device(q.device().index());
  if (cuda::has_flash_attention(q)) return cuda::flash_backward(go_in, q, k, v, past, output, window, scale, want_past);
  if (!has_kernel(q, device))
    return attention_reference.backward(go_in, q, k, v, past, output, window, scale, want_past);
  const AttentionOperands operands(q, k, v, past, window, scale);
  AttentionCall c = operands.call();
  const Tensor go = go_in.contiguous();
  AttentionKernels::Gradients out{
      at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()), at::empty(v.sizes(), v.options()), {}, {}};
  KeyGradient gk{out.k_PBTGd.data_ptr(), nullptr, 0}, gv{out.v_PBTGd.data_ptr(), nullptr, 0};
  if (want_past && past.length() > 0) {
    out.past_k_BWGd = operands.past_gradient(past.k_BWGd, gk);
    out.past_v_BWGd = operands.past_gradient(past.v_BWGd, gv);
  }
  if (q.numel() == 0) return out;
  c.vectors = in_vectors(c, {go.const_data_ptr(), out.q_PBTHd.data_ptr(), gk.now, gk.past, gv.now, gv.past});
  const Tensor sums = at::empty_like(output.stats);
  const float* const lse = output.stats.const_data_ptr<float>();
  float* const sum = sums.data_ptr<float>();
  const int64_t plane = c.planes == 2 ? sums.stride(0) : 0;
  const cuda::AttentionBackward b{c,   go.const_data_ptr(), output.o_PBTHd.const_data_ptr(), lse, lse + plane,
                                  sum, sum + plane,         out.q_PBTHd.data_ptr(),          gk,  gv};
  cuda::attention_query_gradients(b, device.stream());
  cuda::attention_key_gradients(b, device.stream());
  return out;
}

}  // namespace

const AttentionKernels attention_cuda{forward, backward};

}  // namespace ingrain::ops
