// From attention's tensors to what its kernels are told of them.
#pragma once

#include "ops/windowed_attention/call.h"
#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain::ops {

/// A call with everything it points at, contiguous where that is asked for. Past keys that no query sees are left out.
/// REQUIRES: q, k, v of the shapes and in the types that windowed_attention() takes, fp32 or bf16.
class AttentionOperands {
 public:
  AttentionOperands(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& past,
                    int64_t window, double scale);

  const AttentionCall& call() const { return call_; }
  /// Zeros for the gradient of one of the past's tensors. A kernel fills what `to` says, the keys that some query sees.
  Tensor past_gradient(const Tensor& past_BWGd, KeyGradient& to) const;

 private:
  KeySource source(const Tensor& now, const Tensor& past) const;

  Tensor q_, k_, v_, past_k_, past_v_;
  int64_t skipped_;  // past keys that no query sees
  AttentionCall call_;
};

}  // namespace ingrain::ops
