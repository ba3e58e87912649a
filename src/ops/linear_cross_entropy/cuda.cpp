#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/linear_cross_entropy/cuda.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"

namespace ingrain::ops {
namespace {

void rows(Tensor& z_PNV, const Tensor& target_N, const Tensor& a_N, const Tensor& c_N, bool want_gradient,
          Tensor& nll_N, Tensor& tangent_nll_N) {
  const int64_t P = planes(z_PNV), N = z_PNV.size(1), V = z_PNV.size(2);
  const Tensor target = target_N.contiguous(), a = a_N.contiguous(), c = P == 2 ? c_N.contiguous() : Tensor();
  TORCH_CHECK(z_PNV.is_contiguous() && nll_N.is_contiguous(), "cross-entropy rows are written in place");
  if (N == 0) return;
  const cuda::DeviceScope device(z_PNV.device().index());
  cuda::cross_entropy_rows(
      {cuda::number(z_PNV), P, N, V, z_PNV.data_ptr(), target.const_data_ptr<int64_t>(), cuda::floats(a),
       cuda::floats(c), want_gradient, nll_N.data_ptr<float>(), P == 2 ? tangent_nll_N.data_ptr<float>() : nullptr},
      device.stream());
}

/// Nothing on a GPU wants it yet.
Tensor piece(Tensor& z_Nv, int64_t first, const Tensor& target_N, bool want_gradient, SoftmaxSoFar& softmax) {
  return cross_entropy_reference.piece(z_Nv, first, target_N, want_gradient, softmax);
}

}  // namespace

const CrossEntropyKernels cross_entropy_cuda{rows, piece};

}  // namespace ingrain::ops
