#include "ops/ring_attention/cuda.h"

#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/ring_attention/ring_attention.h"

#include <limits>

namespace ingrain::ops {
namespace {

Tensor attend(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position_B, int64_t window,
              double scale, const RingSink& sink) {
  if (sink.defined() || q_BHd.size(2) > cuda::kLargestRingHead || k_BCGd.size(1) > std::numeric_limits<int32_t>::max())
    return ring_reference.attend(q_BHd, k_BCGd, v_BCGd, position_B, window, scale, sink);
  const Tensor q = q_BHd.contiguous(), o = at::empty_like(q);
  if (o.numel() == 0) return o;
  const int64_t kv_heads = k_BCGd.size(2), d = q.size(2);
  cuda::RingCall call{.type = cuda::number(q),
                      .batch = q.size(0),
                      .kv_heads = kv_heads,
                      .groups = q.size(1) / kv_heads,
                      .head_dim = d,
                      .slots = k_BCGd.size(1),
                      .window = window,
                      .scale = static_cast<float>(scale),
                      .position = position_B.const_data_ptr<int64_t>(),
                      .q = q.const_data_ptr(),
                      .k = k_BCGd.const_data_ptr(),
                      .v = v_BCGd.const_data_ptr(),
                      .o = o.data_ptr(),
                      .segments = 1,
                      .part = cuda::ring_part(d),
                      .parts = nullptr};
  call.segments = cuda::ring_segments(call);
  Tensor parts;
  if (call.segments > 1) {
    parts = at::empty({call.batch, q.size(1), call.segments, call.part}, q.options().dtype(at::kFloat));
    call.parts = parts.data_ptr<float>();
  }
  const cuda::DeviceScope device(q.device().index());
  cuda::ring_attention(call, device.stream());
  return o;
}

void store(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
           const Tensor& position_B) {
  const Tensor k = k_BGd.contiguous(), v = v_BGd.contiguous();
  if (k.numel() == 0) return;
  const cuda::DeviceScope device(k.device().index());
  cuda::ring_store(
      {cuda::number(k), k.size(0), k.size(1) * k.size(2), k_BCGd.size(1), position_B.const_data_ptr<int64_t>(),
       k.const_data_ptr(), v.const_data_ptr(), k_BCGd.data_ptr(), v_BCGd.data_ptr()},
      device.stream());
}

}  // namespace

const RingKernels ring_cuda{attend, store};

}  // namespace ingrain::ops
