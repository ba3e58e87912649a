#include "train/adamw.h"

namespace ingrain::train {

AdamW::AdamW(const ModelConfig& config, const Weights& master, const Weights& gradients, const AdamWOptions& options)
    : options_(options), groups_(2) {
  groups_[0].weight_decay = options.weight_decay;
  groups_[1].weight_decay = 0;
  std::map<std::string, Tensor> sums;
  Weights weights = master, sum_weights = gradients;
  visit_parameters(config, sum_weights, [&](const std::string& name, Tensor& sum, ParameterKind) { sums[name] = sum; });
  visit_parameters(config, weights, [&](const std::string& name, Tensor& weight, ParameterKind kind) {
    const Tensor& sum = sums.at(name);
    if (!sum.defined()) return;
    Group& group = groups_[kind == ParameterKind::embedding && !options.decay_embedding ? 1 : 0];
    group.names.push_back(name);
    group.weights.push_back(weight.detach());
    group.gradients.push_back(sum);
    group.first.push_back(at::zeros_like(weight));
    group.second.push_back(at::zeros_like(weight));
    group.steps.push_back(group.steps.empty() ? at::zeros({}, weight.options().dtype(at::kFloat)) : group.steps[0]);
  });
}

Tensor AdamW::gradient_norm() const {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> all;
  for (const Group& group : groups_) all.insert(all.end(), group.gradients.begin(), group.gradients.end());
  if (all.empty()) return at::zeros({}, at::kDouble);
  return at::stack(at::_foreach_norm(all)).to(at::kDouble).square().sum().sqrt();
}

void AdamW::step(double lr, double norm) {
  const at::NoGradGuard no_grad;
  ++steps_;
  for (Group& group : groups_) {
    if (group.weights.empty()) continue;
    if (norm > options_.clip) at::_foreach_mul_(group.gradients, options_.clip / norm);
    group.steps[0].fill_(steps_);
    at::_fused_adamw_(group.weights, group.gradients, group.first, group.second, /*max_exp_avg_sqs=*/{}, group.steps,
                      lr, options_.beta1, options_.beta2, group.weight_decay, options_.eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

std::vector<std::pair<std::string, Tensor>> AdamW::state() const {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const Group& group : groups_) {
    for (size_t i = 0; i < group.names.size(); ++i) {
      out.emplace_back(group.names[i] + ".first_moment", group.first[i]);
      out.emplace_back(group.names[i] + ".second_moment", group.second[i]);
    }
  }
  return out;
}

}  // namespace ingrain::train
