#include "ops/windowed_attention/flash.h"

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>

#include <algorithm>

namespace ingrain::ops::cuda {
namespace {

/// Keys and values in one piece, [B, W + T, G, d], without those that no query sees.
struct Keys {
  Tensor k, v;
  int64_t past, unseen;  // past keys in k and v, and past keys left out
  int64_t left;          // how far a query sees to the left: a window of k tokens reaches k - 1

  Keys(const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& window_of, int64_t window)
      : unseen(std::max<int64_t>(0, window_of.length() - window + 1)) {
    past = window_of.length() - unseen;
    const auto joined = [&](const Tensor& old_BWGd, const Tensor& now_PBTGd) {
      return past == 0 ? value(now_PBTGd) : at::cat({old_BWGd.narrow(1, unseen, past), value(now_PBTGd)}, 1);
    };
    k = joined(window_of.k_BWGd, k_PBTGd);
    v = joined(window_of.v_BWGd, v_PBTGd);
    left = std::min(window - 1, k.size(1));
  }
};

/// The past's part of a gradient, zeros where no query sees the key.
Tensor past_gradient(const Tensor& g_BKGd, const Keys& keys) {
  return at::constant_pad_nd(g_BKGd.narrow(1, 0, keys.past), {0, 0, 0, 0, keys.unseen, 0});
}

}  // namespace

bool has_flash_attention(const Tensor& q) {
  return q.is_cuda() && q.scalar_type() == at::kBFloat16 && planes(q) == 1 && q.size(4) % 8 == 0 && q.size(4) <= 256 &&
         q.numel() > 0;
}

// Both calls name every argument up to the window's, which is where torch 2.11's signature ends. Queries are aligned with
// the last keys.
AttentionKernels::Output flash_forward(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past,
                                       int64_t window, double scale) {
  const Keys keys(k, v, past, window);
  const auto out = at::_flash_attention_forward(value(q), keys.k, keys.v, std::nullopt, std::nullopt, q.size(2),
                                                keys.k.size(1), /*dropout_p=*/0.0, /*is_causal=*/true,
                                                /*return_debug_mask=*/false, scale, keys.left, 0);
  return {std::get<0>(out).unsqueeze(0), std::get<1>(out)};
}

AttentionKernels::Gradients flash_backward(const Tensor& go, const Tensor& q, const Tensor& k, const Tensor& v,
                                           const KvWindow& past, const AttentionKernels::Output& output, int64_t window,
                                           double scale, bool want_past) {
  const Keys keys(k, v, past, window);
  const auto no_dropout = at::empty({2}, q.options().dtype(at::kUInt64));
  const auto [gq, gk, gv] = at::_flash_attention_backward(
      value(go), value(q), keys.k, keys.v, value(output.o_PBTHd), output.stats, Tensor(), Tensor(), q.size(2),
      keys.k.size(1), /*dropout_p=*/0.0, /*is_causal=*/true, no_dropout, at::empty({}, no_dropout.options()), scale,
      keys.left, 0);
  const auto now = [&](const Tensor& g) { return g.narrow(1, keys.past, k.size(2)).contiguous().unsqueeze(0); };
  AttentionKernels::Gradients out{gq.unsqueeze(0), now(gk), now(gv), {}, {}};
  if (want_past && past.length() > 0) {
    out.past_k_BWGd = past_gradient(gk, keys);
    out.past_v_BWGd = past_gradient(gv, keys);
  }
  return out;
}

}  // namespace ingrain::ops::cuda
