// RMSNorm on the CPU. This file is compiled once per instruction set (hwy/foreach_target.h includes it again).
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"
#include "ops/checks.h"
#include "ops/graph/parallel.h"
#include "ops/rms_norm/call.h"
#include "ops/rms_norm/rms_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rms_norm/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/rms_norm/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

template <class T>
HWY_INLINE Row<T> RowOf(T* base, int64_t planes, const RmsNormCall& call, int64_t row) {
  if (planes == 0) return {};
  T* const value = base + row * call.width;
  return {value, planes == 2 ? value + call.rows * call.width : nullptr};
}

template <class T>
void ForwardAs(const RmsNormCall& call, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    NormRow(RowOf(static_cast<const T*>(call.x), call.planes, call, i),
            RowOf(static_cast<const T*>(call.residual), call.residual_planes, call, i), call.w, call.width, call.eps,
            RowOf(static_cast<T*>(call.out), call.planes, call, i));
}

template <class T>
void BackwardAs(const RmsNormCall& call, int64_t begin, int64_t end, float* gw) {
  for (int64_t i = begin; i < end; ++i)
    NormRowBackward(RowOf(static_cast<const T*>(call.gy), call.planes, call, i),
                    RowOf(static_cast<const T*>(call.x), call.planes, call, i), call.w, call.width, call.eps,
                    RowOf(static_cast<T*>(call.out), call.planes, call, i), gw);
}

void RmsNormForward(const RmsNormCall& call, int64_t begin, int64_t end) {
  call.type == Number::fp32 ? ForwardAs<float>(call, begin, end) : ForwardAs<BFloat16>(call, begin, end);
}
void RmsNormBackward(const RmsNormCall& call, int64_t begin, int64_t end, float* gw) {
  call.type == Number::fp32 ? BackwardAs<float>(call, begin, end, gw) : BackwardAs<BFloat16>(call, begin, end, gw);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(RmsNormForward);
HWY_EXPORT(RmsNormBackward);

RmsNormCall call_on(const Tensor& x_PND, const Tensor& w_D, double eps, const Tensor& out) {
  const int64_t width = w_D.size(0), P = planes(x_PND);
  return {number(x_PND),          P,       0,       x_PND.numel() / (P * width), width,
          x_PND.const_data_ptr(), nullptr, nullptr, w_D.const_data_ptr<float>(), static_cast<float>(eps),
          out.data_ptr()};
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
  const auto run = HWY_DYNAMIC_DISPATCH(RmsNormForward);
  cpu::parallel({x, r, w, y}, call.rows, cpu::grain(call.planes * call.width),
                [call, run](int64_t begin, int64_t end) { run(call, begin, end); });
  return y;
}

RmsNormKernels::Gradients backward(const Tensor& gy_PND, const Tensor& x_PND, const Tensor& w_D, double eps,
                                   bool want_w) {
  const Tensor x = x_PND.contiguous(), gy = gy_PND.contiguous(), w = w_D.contiguous(), gx = at::empty_like(x);
  if (gx.numel() == 0) return {gx, want_w ? at::zeros_like(w) : Tensor()};
  RmsNormCall call = call_on(x, w, eps, gx);
  call.gy = gy.const_data_ptr();
  const auto run = HWY_DYNAMIC_DISPATCH(RmsNormBackward);
  if (want_w)
    return {gx, cpu::sum_over_slices(call.rows, call.width,
                                     [&](int64_t begin, int64_t end, float* gw) { run(call, begin, end, gw); })};
  cpu::parallel_uncaptured(call.rows, cpu::grain(call.planes * call.width),
                           [&](int64_t begin, int64_t end) { run(call, begin, end, nullptr); });
  return {gx, Tensor()};
}

}  // namespace

const RmsNormKernels rms_norm_cpu{forward, backward};

}  // namespace ingrain::ops
#endif
