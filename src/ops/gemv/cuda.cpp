#include "ops/gemv/cuda.h"

#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/gemv/gemv.h"

namespace ingrain::ops {
namespace {

Tensor nt(const Tensor& a_BMK, const Tensor& b_BNK) {
  const Tensor a = a_BMK.contiguous();
  auto sizes = a.sizes().vec();
  sizes.back() = b_BNK.size(-2);
  const Tensor c = at::empty(sizes, a.options());
  const bool batched = a.dim() == 3;
  const cuda::DeviceScope device(a.device().index());
  cuda::gemv_nt(
      {cuda::number(a), cuda::number(b_BNK), batched ? a.size(0) : 1, a.size(-2), b_BNK.size(-2), a.size(-1),
       a.const_data_ptr(), b_BNK.const_data_ptr(), batched ? b_BNK.stride(0) : 0, b_BNK.stride(-2), c.data_ptr()},
      device.stream());
  return c;
}

}  // namespace

const GemvKernels gemv_cuda{cuda::kMostRows, cuda::kMostRowsOfFp32Weights, nt, nullptr};

}  // namespace ingrain::ops
