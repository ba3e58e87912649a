#include "ops/windowed_attention/cuda/flash.h"

#include "ops/windowed_attention/cuda/joined_keys.h"

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>

namespace ingrain::ops::cuda {
namespace {

/// What both directions are called with: libtorch's kernels take any strides, but read 16 bytes at a time.
struct Operands {
  JoinedKeys keys;
  Tensor q, k, v;
  int64_t left, right;  // how far a query sees to both sides; -1: to the end

  Operands(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& past, int64_t window)
      : keys(k_PBTGd, v_PBTGd, past, window),
        q(with_aligned_rows(primal(q_PBTHd))),
        k(with_aligned_rows(keys.k_BKGd)),
        v(with_aligned_rows(keys.v_BKGd)) {
    // Masks that hide nothing are left out: with none, a single query's heads that share keys are computed together.
    left = window >= k.size(1) ? -1 : window - 1;
    right = q.size(1) == 1 ? -1 : 0;
  }
};

/// The past's part of a gradient, zeros where no query sees the key.
Tensor past_gradient(const Tensor& g_BKGd, const JoinedKeys& keys) {
  return at::constant_pad_nd(g_BKGd.narrow(1, 0, keys.past), {0, 0, 0, 0, keys.unseen, 0});
}

}  // namespace

bool has_flash_attention(const Tensor& q) {
  return q.is_cuda() && q.scalar_type() == at::kBFloat16 && planes(q) == 1 && q.size(4) % 8 == 0 && q.size(4) <= 256 &&
         q.numel() > 0;
}

// Both calls name every argument up to the window's, which is where torch 2.11's signature ends. Queries are aligned
// with the last keys.
AttentionKernels::Output flash_forward(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past,
                                       int64_t window, double scale) {
  const Operands in(q, k, v, past, window);
  const auto out = at::_flash_attention_forward(
      in.q, in.k, in.v, std::nullopt, std::nullopt, in.q.size(1), in.k.size(1),
      /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false, scale, in.left, in.right);
  return {std::get<0>(out).unsqueeze(0), std::get<1>(out)};
}

AttentionKernels::Gradients flash_backward(const Tensor& go, const Tensor& q, const Tensor& k, const Tensor& v,
                                           const KvWindow& past, const AttentionKernels::Output& output, int64_t window,
                                           double scale, bool want_past) {
  const Operands in(q, k, v, past, window);
  const auto no_dropout = at::empty({2}, q.options().dtype(at::kUInt64));
  const auto [gq, gk, gv] = at::_flash_attention_backward(
      with_aligned_rows(primal(go)), in.q, in.k, in.v, primal(output.o_PBTHd), output.stats, Tensor(), Tensor(),
      in.q.size(1), in.k.size(1), /*dropout_p=*/0.0, /*is_causal=*/true, no_dropout,
      at::empty({}, no_dropout.options()), scale, in.left, in.right);
  const auto now = [&](const Tensor& g) { return g.narrow(1, in.keys.past, k.size(2)).contiguous().unsqueeze(0); };
  AttentionKernels::Gradients out{gq.unsqueeze(0), now(gk), now(gv), {}, {}};
  if (want_past && past.length() > 0) {
    out.past_k_BWGd = past_gradient(gk, in.keys);
    out.past_v_BWGd = past_gradient(gv, in.keys);
  }
  return out;
}

}  // namespace ingrain::ops::cuda
