// The inner step's rule: one SGD step with a clipped norm on several tensors at once, for every sequence on its own.
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain::ops {

/// out = w - eta min(1, clip / |g|) g, with |g| one norm over all tensors of a sequence (dimension 0); |g| = 0 moves
/// nothing. w, g: tensors [B, ...] of pairwise equal shapes, fp32 (fp64), contiguous; eta: [w.size()], one rate a
/// tensor, on the same device; out: like w, may be w itself; rounded: empty, or bf16 tensors like out that get its
/// values, too. Returns |g| before the clip, [B]. Not differentiable. Throws c10::Error where numbers of tensors,
/// shapes, types, devices or memory layouts do not fit.
Tensor clipped_sgd(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B, const Tensor& eta_N, double clip,
                   const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B = {});

struct SgdKernels {
  Tensor (*step)(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B, const Tensor& eta_N, double clip,
                 const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B);
};
extern const SgdKernels sgd_reference, sgd_cpu, sgd_cuda;

}  // namespace ingrain::ops
