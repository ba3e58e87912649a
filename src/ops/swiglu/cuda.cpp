#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/swiglu/cuda.h"
#include "ops/swiglu/swiglu.h"

namespace ingrain::ops {
namespace {

SwigluCall call_on(const Tensor& ab, const Tensor& out, Gate gate) {
  const int64_t F = ab.size(-1) / 2, P = planes(ab);
  return {cuda::number(ab), gate, P, ab.numel() / (P * 2 * F), F, ab.const_data_ptr(), nullptr, out.data_ptr()};
}

Tensor forward(const Tensor& ab_in, Gate gate) {
  const Tensor ab = ab_in.contiguous();
  auto sizes = ab.sizes().vec();
  sizes.back() /= 2;
  const Tensor u = at::empty(sizes, ab.options());
  if (u.numel() == 0) return u;
  const cuda::DeviceScope device(ab.device().index());
  cuda::swiglu_forward(call_on(ab, u, gate), device.stream());
  return u;
}

Tensor backward(const Tensor& gu_in, const Tensor& ab_in, Gate gate) {
  const Tensor ab = ab_in.contiguous(), gu = gu_in.contiguous(), gab = at::empty_like(ab);
  if (gab.numel() == 0) return gab;
  SwigluCall call = call_on(ab, gab, gate);
  call.gu = gu.const_data_ptr();
  const cuda::DeviceScope device(ab.device().index());
  cuda::swiglu_backward(call, device.stream());
  return gab;
}

}  // namespace

const SwigluKernels swiglu_cuda{forward, backward};

}  // namespace ingrain::ops
