#include "ops/ring_attention/ring_attention.h"

#include "ops/checks.h"

namespace ingrain::ops {
namespace {

Tensor ring_attend(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position_B,
                   int64_t window, double scale, const RingSink& sink) {
  const auto acc = accumulate_type(q_BHd.scalar_type());
  const int64_t B = k_BCGd.size(0), C = k_BCGd.size(1), groups = q_BHd.size(1) / k_BCGd.size(2);
  // How many tokens ago a slot was written, counted within one turn of the ring.
  const Tensor position_B1 = position_B.unsqueeze(1),
               age_BC = (position_B1 - at::arange(C, position_B.options())).remainder(C);
  const Tensor hidden_BC = age_BC.ge(window).logical_or_(age_BC.gt(position_B1));
  const auto heads = [&](const Tensor& x_BCGd) {
    const Tensor seen = x_BCGd.to(acc).masked_fill(hidden_BC.view({B, C, 1, 1}), 0);  // NaN times zero is none then
    return seen.transpose(1, 2).repeat_interleave(groups, 1);
  };
  const Tensor s_BH1C = q_BHd.to(acc).unsqueeze(2).matmul(heads(k_BCGd).transpose(-1, -2)) * scale;
  const Tensor hidden_B11C = hidden_BC.view({B, 1, 1, C});
  constexpr double kHidden = -std::numeric_limits<double>::infinity();
  const Tensor seen_BH1C = s_BH1C.masked_fill(hidden_B11C, kHidden);
  if (!sink.defined())  // Where nothing is seen, the softmax has no meaning.
    return seen_BH1C.softmax(-1).masked_fill(hidden_B11C, 0).matmul(heads(v_BCGd)).squeeze(2).to(q_BHd.scalar_type());
  const Tensor sink_BH11 =
      sink.s_BH.to(acc).view({B, -1, 1, 1}).masked_fill(position_B.lt(sink.from).view({B, 1, 1, 1}), kHidden);
  const Tensor p_BH1C1 = at::cat({seen_BH1C, sink_BH11}, -1).softmax(-1);
  const Tensor o_BHd = p_BH1C1.narrow(-1, 0, C).masked_fill(hidden_B11C, 0).matmul(heads(v_BCGd)).squeeze(2);
  const Tensor p_BH1 = p_BH1C1.select(-1, C).masked_fill(sink_BH11.squeeze(-1).eq(kHidden), 0);
  return (o_BHd + p_BH1 * sink.v_Gd.to(acc).repeat_interleave(groups, 0)).to(q_BHd.scalar_type());
}

void store_slot(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
                const Tensor& position_B) {
  const Tensor idle_B111 = position_B.lt(0).view({-1, 1, 1, 1});
  const Tensor slot_B1Gd =
      position_B.remainder(k_BCGd.size(1)).view({-1, 1, 1, 1}).expand({-1, 1, k_BGd.size(1), k_BGd.size(2)});
  for (const auto& [new_BGd, ring_BCGd] : {std::pair(k_BGd, k_BCGd), std::pair(v_BGd, v_BCGd)})
    ring_BCGd.scatter_(1, slot_B1Gd, at::where(idle_B111, ring_BCGd.gather(1, slot_B1Gd), new_BGd.unsqueeze(1)));
}

}  // namespace

const RingKernels ring_reference{ring_attend, store_slot};

}  // namespace ingrain::ops
