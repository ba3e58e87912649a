#include "ttt/gradient_sums.h"

#include "ops/autograd.h"

namespace ingrain {

GradientSums::GradientSums(const ModelConfig& config, const Weights& weights, const Trainable& trainable)
    : config_(config), leaves_(weights), sums_(weights) {
  constexpr int64_t kAligned = 16;  // elements: vector loads of a sum begin where those of a tensor of its own would
  const auto trained = [&](const Parameter& p, int64_t layer) { return !trainable || trainable(full_name(p, layer)); };
  int64_t size = 0;
  for_each_parameter(config, [&](const Parameter& p, int64_t layer) {
    const auto begun = static_cast<int64_t>(block_begins_.size());
    if (p.step != Step::embedding && begun <= (p.of_a_block() ? layer : config.num_layers))
      block_begins_.push_back(size);
    if (!trained(p, layer)) return;
    const int64_t count = number_count(p, config);
    places_.push_back({full_name(p, layer), p.kind, size, count, shape_of(p, config), {}});
    size += (count + kAligned - 1) / kAligned * kAligned;
  });
  flat_N_ = at::zeros({size}, at::TensorOptions(weights.device()).dtype(master_type(weights.type())));
  auto place = places_.begin();
  for_each_parameter(config, [&](const Parameter& p, int64_t layer) {
    Tensor &leaf = p.member(leaves_, layer), &sum = p.member(sums_, layer);
    leaf = leaf.detach().requires_grad_(trained(p, layer));
    sum = Tensor();
    if (!trained(p, layer)) return;
    sum = flat_N_.narrow(0, place->begin, place->count).view(place->shape);
    place->leaf = leaf;
    ++place;
  });
}

std::vector<GradientSums::Entry> GradientSums::pick(Step step, bool fast, int64_t layer) const {
  std::vector<Entry> out;
  for (const Parameter& p : parameter_table())
    if (p.step == step && (p.kind == ParameterKind::fast) == fast && p.exists(config_, layer))
      out.push_back({p.member(leaves_, layer), p.member(sums_, layer)});
  return out;
}

std::vector<GradientSums::Entry> GradientSums::slow(Step step, int64_t layer) const {
  return pick(step, /*fast=*/false, layer);
}

std::vector<GradientSums::Entry> GradientSums::initial_fast(int64_t layer) const {
  return pick(Step::fast, /*fast=*/true, layer);
}

bool any_trained(const std::vector<GradientSums::Entry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.leaf.requires_grad(); });
}

std::vector<Tensor> GradientSums::backward(const std::vector<Tensor>& outputs, const std::vector<Tensor>& cotangents,
                                           const std::vector<Entry>& entries, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> wanted = inputs;
  std::vector<const Entry*> trained;
  for (const Entry& entry : entries) {
    if (!entry.leaf.requires_grad()) continue;
    trained.push_back(&entry);
    wanted.push_back(entry.leaf);
  }
  auto grads = ops::gradients(outputs, wanted, cotangents, {.allow_unused = true});
  for (size_t i = 0; i < trained.size(); ++i)
    if (const Tensor& g = grads[inputs.size() + i]; g.defined()) trained[i]->sum.add_(g);
  grads.resize(inputs.size());
  return grads;
}

}  // namespace ingrain
