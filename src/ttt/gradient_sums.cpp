#include "ttt/gradient_sums.h"

#include <torch/csrc/autograd/autograd.h>

namespace ingrain {

GradientSlots::GradientSlots(const ModelConfig& config, const Weights& weights, const Trainable& trainable)
    : leaves_(weights), sums_(weights) {
  const at::ScalarType sum_type = master_type(weights.type());
  visit_parameters(config, sums_, [&](const std::string& name, Tensor& sum, ParameterKind) {
    const bool trained = !trainable || trainable(name);
    sum = trained ? at::zeros(sum.sizes(), sum.options().dtype(sum_type)) : Tensor();
  });
  visit_parameters(config, leaves_, [&](const std::string& name, Tensor& leaf, ParameterKind) {
    leaf = leaf.detach().requires_grad_(!trainable || trainable(name));
  });
}

namespace {

std::vector<GradientSlots::Slot> pick(const BlockWeights& leaves, const BlockWeights& sums,
                                      std::initializer_list<Tensor BlockWeights::*> members) {
  std::vector<GradientSlots::Slot> out;
  for (const auto member : members)
    if ((leaves.*member).defined()) out.push_back({leaves.*member, sums.*member});
  return out;
}

}  // namespace

std::vector<GradientSlots::Slot> GradientSlots::attention_slots(int64_t block) const {
  using B = BlockWeights;
  const auto i = static_cast<size_t>(block);
  return pick(leaves_.blocks[i], sums_.blocks[i],
              {&B::attn_norm_D, &B::wqkv_CD, &B::bqkv_C, &B::q_norm_d, &B::k_norm_d, &B::wo_DC, &B::attn_post_norm_D});
}

std::vector<GradientSlots::Slot> GradientSlots::fast_norm_slots(int64_t block) const {
  const auto i = static_cast<size_t>(block);
  return pick(leaves_.blocks[i], sums_.blocks[i], {&BlockWeights::fast_norm_D, &BlockWeights::fast_post_norm_D});
}

std::vector<GradientSlots::Slot> GradientSlots::mlp_slots(int64_t block) const {
  const auto i = static_cast<size_t>(block);
  const BlockWeights &leaf = leaves_.blocks[i], &sum = sums_.blocks[i];
  auto out = pick(leaf, sum, {&BlockWeights::mlp_norm_D, &BlockWeights::mlp_post_norm_D});
  append(out, {{leaf.mlp.w13_FD, sum.mlp.w13_FD}, {leaf.mlp.w2_DF, sum.mlp.w2_DF}});
  return out;
}

std::vector<GradientSlots::Slot> GradientSlots::initial_fast_slots(int64_t suffix_block) const {
  const Mlp &leaf = leaves_.fast_S[static_cast<size_t>(suffix_block)],
            &sum = sums_.fast_S[static_cast<size_t>(suffix_block)];
  return {{leaf.w13_FD, sum.w13_FD}, {leaf.w2_DF, sum.w2_DF}};
}

std::vector<GradientSlots::Slot> GradientSlots::final_norm_slots() const {
  return {{leaves_.final_norm_D, sums_.final_norm_D}};
}

bool any_trained(const std::vector<GradientSlots::Slot>& slots) {
  return std::any_of(slots.begin(), slots.end(), [](const auto& slot) { return slot.leaf.requires_grad(); });
}

std::vector<Tensor> GradientSlots::backward(const std::vector<Tensor>& outputs, const std::vector<Tensor>& cotangents,
                                            const std::vector<Slot>& slots, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> wanted = inputs;
  std::vector<const Slot*> trained;
  for (const Slot& slot : slots) {
    if (!slot.leaf.requires_grad()) continue;
    trained.push_back(&slot);
    wanted.push_back(slot.leaf);
  }
  auto grads = torch::autograd::grad(outputs, wanted, cotangents, /*retain_graph=*/std::nullopt, /*create_graph=*/false,
                                     /*allow_unused=*/true);
  for (size_t i = 0; i < trained.size(); ++i)
    if (const Tensor& g = grads[inputs.size() + i]; g.defined()) trained[i]->sum.add_(g);
  grads.resize(inputs.size());
  return grads;
}

}  // namespace ingrain
