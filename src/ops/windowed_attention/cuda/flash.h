// libtorch's fused attention on a GPU: the fastest way for values alone in bf16.
#pragma once

#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain::ops::cuda {

/// Whether it takes these tensors: bf16 on a GPU it was built for (A100 and later), one plane, a head dimension that is
/// a multiple of 8 and at most 256.
bool has_flash_attention(const Tensor& q_PBTHd);

/// Like AttentionKernels's functions. The statistics are the rows' log of the sum of exp, [B, H, T].
AttentionKernels::Output flash_forward(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd,
                                       const KvWindow& past, int64_t window, double scale);
AttentionKernels::Gradients flash_backward(const Tensor& go_PBTHd, const Tensor& q_PBTHd, const Tensor& k_PBTGd,
                                           const Tensor& v_PBTGd, const KvWindow& past,
                                           const AttentionKernels::Output& output, int64_t window, double scale,
                                           bool want_past);

}  // namespace ingrain::ops::cuda
