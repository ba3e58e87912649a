#include "train/adamw.h"

#include <map>

namespace ingrain::train {

AdamW::AdamW(const ModelConfig& config, const Weights& master, const GradientSums& gradients,
             std::span<const Stretch> own, const AdamWOptions& options, bool copies)
    : options_(options), groups_(2) {
  for (const Stretch& s : own) own_n_.push_back(gradients.flat().narrow(0, s.begin, s.end - s.begin));
  if (own_n_.empty()) own_n_.push_back(gradients.flat().narrow(0, 0, 0));
  groups_[0].weight_decay = options.weight_decay;
  groups_[1].weight_decay = 0;
  std::map<std::string, Tensor> parameters;
  Weights weights = master;
  visit_parameters(config, weights, [&](const std::string& name, Tensor& x, ParameterKind) { parameters[name] = x; });
  for (const Piece& piece : pieces_of(gradients, own)) {
    const Tensor weight_n = numbers_of(piece, parameters.at(piece.name));
    Group& group = groups_[piece.kind == ParameterKind::embedding && !options.decay_embedding ? 1 : 0];
    group.pieces.push_back(piece);
    group.weights.push_back(copies ? weight_n.clone() : weight_n);
    group.gradients.push_back(gradients.flat().narrow(0, piece.at, piece.count));
    group.first.push_back(at::zeros_like(weight_n));
    group.second.push_back(at::zeros_like(weight_n));
    group.steps.push_back(group.steps.empty() ? at::zeros({}, weight_n.options().dtype(at::kFloat)) : group.steps[0]);
  }
}

AdamW::AdamW(const ModelConfig& config, const Weights& master, const GradientSums& gradients,
             const AdamWOptions& options)
    : AdamW(config, master, gradients, std::vector<Stretch>{{0, gradients.flat().numel()}}, options) {}

Tensor AdamW::squares() const {
  std::vector<Tensor> of_blocks;
  for (const Tensor& own_n : own_n_) of_blocks.push_back(block_squares(own_n));
  return of_blocks.size() == 1 ? of_blocks[0] : at::cat(of_blocks);
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

std::vector<AdamW::State> AdamW::state() const {
  std::vector<State> out;
  for (const Group& group : groups_)
    for (size_t i = 0; i < group.pieces.size(); ++i)
      out.push_back({group.pieces[i], group.weights[i], group.first[i], group.second[i]});
  return out;
}

}  // namespace ingrain::train
