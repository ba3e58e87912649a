#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/rms_norm/cuda.h"
#include "ops/rms_norm/rms_norm.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

/// Blocks that share the rows where a sum over rows is wanted: several for every multiprocessor of a large GPU.
constexpr int64_t kScaleSlices = 512;

RmsNormCall call_on(const Tensor& x_PND, const Tensor& w_D, double eps, const Tensor& out) {
  const int64_t width = w_D.size(0), P = planes(x_PND), rows = x_PND.numel() / (P * width);
  return {cuda::number(x_PND),
          P,
          0,
          rows,
          width,
          x_PND.const_data_ptr(),
          nullptr,
          nullptr,
          w_D.const_data_ptr<float>(),
          static_cast<float>(eps),
          out.data_ptr(),
          nullptr,
          rows};
}

Tensor forward(const Tensor& residual, const Tensor& x_PND, const Tensor& w_D, double eps) {
  const Tensor x = x_PND.contiguous(), w = w_D.contiguous(), y = at::empty_like(x);
  const Tensor r = residual.defined() ? residual.contiguous() : residual;
  if (y.numel() == 0) return y;
  RmsNormCall call = call_on(x, w, eps, y);
  if (r.defined()) {
    call.residual = r.const_data_ptr();
    call.residual_planes = planes(r);
  }
  const cuda::DeviceScope device(x.device().index());
  cuda::rms_norm_forward(call, device.stream());
  return y;
}

RmsNormKernels::Gradients backward(const Tensor& gy_PND, const Tensor& x_PND, const Tensor& w_D, double eps,
                                   bool want_w) {
  const Tensor x = x_PND.contiguous(), gy = gy_PND.contiguous(), w = w_D.contiguous(), gx = at::empty_like(x);
  if (gx.numel() == 0) return {gx, want_w ? at::zeros_like(w) : Tensor()};
  const cuda::DeviceScope device(x.device().index());
  constexpr size_t kOfKernel = 1024;  // at most so much shared memory is the kernel's own
  if (want_w && w.nbytes() + kOfKernel > device.shared_memory())
    return rms_norm_reference.backward(gy_PND, x_PND, w_D, eps, want_w);
  RmsNormCall call = call_on(x, w, eps, gx);
  call.gy = gy.const_data_ptr();
  Tensor partial_gw;
  if (want_w) {
    call.slices = std::min(call.rows, kScaleSlices);
    partial_gw = at::empty({call.slices, call.width}, w.options());
    call.partial_gw = partial_gw.data_ptr<float>();
  }
  cuda::rms_norm_backward(call, device.stream());
  return {gx, want_w ? partial_gw.sum(0) : Tensor()};
}

}  // namespace

const RmsNormKernels rms_norm_cuda{forward, backward};

}  // namespace ingrain::ops
