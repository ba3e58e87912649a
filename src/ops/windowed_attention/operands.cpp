#include "ops/windowed_attention/operands.h"

#include "ops/checks.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

Tensor with_whole_rows(const Tensor& x_BWGd) {
  if (!x_BWGd.defined() || x_BWGd.size(1) == 0) return {};
  const bool rows_whole = x_BWGd.stride(3) == 1 && x_BWGd.stride(2) == x_BWGd.size(3);
  return rows_whole ? x_BWGd : x_BWGd.contiguous();
}

}  // namespace

AttentionOperands::AttentionOperands(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past,
                                     int64_t window, double scale)
    : q_(q.contiguous()),
      k_(k.contiguous()),
      v_(v.contiguous()),
      past_k_(with_whole_rows(past.k_BWGd)),
      past_v_(with_whole_rows(past.v_BWGd)),
      skipped_(std::max<int64_t>(0, past.length() - window + 1)),
      call_{.type = number(q),
            .planes = planes(q),
            .batch = q.size(1),
            .tokens = q.size(2),
            .q_heads = q.size(3),
            .kv_heads = k.size(3),
            .head_dim = q.size(4),
            .past = past.length() - skipped_,
            .window = window,
            .scale = static_cast<float>(scale),
            .q = q_.const_data_ptr(),
            .k = source(k_, past_k_),
            .v = source(v_, past_v_)} {}

KeySource AttentionOperands::source(const Tensor& now, const Tensor& past) const {
  if (!past.defined()) return {nullptr, 0, 0, now.const_data_ptr()};
  const char* const first =
      static_cast<const char*>(past.const_data_ptr()) + skipped_ * past.stride(1) * past.element_size();
  return {first, past.stride(0), past.stride(1), now.const_data_ptr()};
}

Tensor AttentionOperands::past_gradient(const Tensor& past_BWGd, KeyGradient& to) const {
  const Tensor g = at::zeros(past_BWGd.sizes(), q_.options());
  to.past = static_cast<char*>(g.data_ptr()) + skipped_ * g.stride(1) * g.element_size();
  to.past_batch_stride = g.stride(0);
  return g;
}

}  // namespace ingrain::ops
