#include "ops/ring_attention/ring_attention.h"

#include "ops/checks.h"

namespace ingrain::ops {
namespace {

Tensor ring_attend(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position,
                   int64_t window, double scale) {
  const auto acc = accumulate_type(q_BHd.scalar_type());
  const int64_t C = k_BCGd.size(1), groups = q_BHd.size(1) / k_BCGd.size(2);
  // How many tokens ago a slot was written, counted within one turn of the ring.
  const Tensor age_C = (position.reshape({1}) - at::arange(C, position.options())).remainder(C);
  const Tensor hidden_C = age_C.ge(window).logical_or_(age_C.gt(position));
  const auto heads = [&](const Tensor& x_BCGd) {
    const Tensor seen = x_BCGd.to(acc).masked_fill(hidden_C.view({C, 1, 1}), 0);  // even NaN times zero is none then
    return seen.transpose(1, 2).repeat_interleave(groups, 1);
  };
  const Tensor s_BH1C = q_BHd.to(acc).unsqueeze(2).matmul(heads(k_BCGd).transpose(-1, -2)) * scale;
  const Tensor p_BH1C = s_BH1C.masked_fill(hidden_C, -std::numeric_limits<double>::infinity()).softmax(-1);
  return p_BH1C.matmul(heads(v_BCGd)).squeeze(2).to(q_BHd.scalar_type());
}

void store_slot(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
                const Tensor& position) {
  const Tensor slot = position.remainder(k_BCGd.size(1)).reshape({1});
  k_BCGd.index_copy_(1, slot, k_BGd.unsqueeze(1));
  v_BCGd.index_copy_(1, slot, v_BGd.unsqueeze(1));
}

}  // namespace

const RingKernels ring_reference{ring_attend, store_slot};

}  // namespace ingrain::ops
