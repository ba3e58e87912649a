#include "store/reference_layout.h"

#include "base/error.h"
#include "model/parameters.h"

namespace ingrain {
namespace {

/// One tensor of the reference: some rows of one of our parameters, stacked over the blocks that have it.
struct Stack {
  std::string theirs;
  const Parameter* parameter;
  int64_t first_row, rows;
  std::vector<int64_t> layers;
};

std::string reference_name(const Parameter& p, const ParameterPart& part) {
  const char* const folder = !p.of_a_block() ? "" : p.step == Step::fast ? "model.h.prime_storage." : "model.h.blocks.";
  return fmt::format("language_model.{}{}", folder, part.reference);
}

std::vector<Stack> stacks(const ModelConfig& c) {
  require(c.layers.empty() && c.rotated && c.mixer == kAttention && !c.output_gate && c.mlp,
          "the reference's format has no place for layers without RoPE or an MLP, with a gated output, or with another "
          "mixer "
          "than attention");
  require(c.inner == InnerRule{},
          "the reference's format has no place for another inner step than clipped SGD ('inner_optimizer', "
          "'inner_momentum', 'inner_decay', 'inner_w13_factor', 'inner_steps', 'inner_step_delay')");
  std::map<const Parameter*, std::vector<int64_t>> layers;
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) { layers[&p].push_back(layer); });
  std::vector<Stack> out;
  for (const auto& [p, has_it] : layers) {
    int64_t first_row = 0;
    for (const ParameterPart& part : p->parts) {
      if (!part.rows) break;
      require(!part.reference.empty(), "the reference's format has no place for {} ('{}')",
              p->kind == ParameterKind::rate ? "learned inner rates" : "attention biases", p->name);
      out.push_back({reference_name(*p, part), p, first_row, part.rows(c), has_it});
      first_row += out.back().rows;
    }
  }
  return out;
}

/// A matrix turns from [out, in] to [in, out]; a vector stays.
Tensor turned(const Tensor& x) { return x.dim() >= 2 ? x.transpose(-1, -2) : x; }

/// The embedding stays, too.
Tensor turned(const Tensor& x, const Parameter& p) { return p.kind == ParameterKind::embedding ? x : turned(x); }

Tensor part_of(const Stack& stack, Weights& w, int64_t layer) {
  return stack.parameter->member(w, layer).narrow(0, stack.first_row, stack.rows);
}

void check_shape(const Tensor& theirs, const Tensor& ours, const std::string& name) {
  require(theirs.sizes() == ours.sizes(), "tensor '{}' has shape [{}] where the config asks for [{}]", name,
          fmt::join(theirs.sizes(), ", "), fmt::join(ours.sizes(), ", "));
}

}  // namespace

ReferenceTensors to_reference(const ModelConfig& c, const Weights& w) {
  Weights handles = w;
  ReferenceTensors out;
  for (const Stack& stack : stacks(c)) {
    const Parameter& p = *stack.parameter;
    std::vector<Tensor> layers;
    for (const int64_t layer : stack.layers) layers.push_back(turned(part_of(stack, handles, layer), p));
    out[stack.theirs] = (p.of_a_block() ? at::stack(layers) : layers.front()).contiguous();
  }
  return out;
}

Weights from_reference(const ModelConfig& c, const std::function<Tensor(const std::string&)>& get) {
  Weights w = make_weights(c, at::kFloat);
  for (const Stack& stack : stacks(c)) {
    const Parameter& p = *stack.parameter;
    const auto count = static_cast<int64_t>(stack.layers.size());
    const Tensor theirs = p.of_a_block() ? get(stack.theirs) : get(stack.theirs).unsqueeze(0);
    require(theirs.dim() >= 1 && theirs.size(0) == count, "tensor '{}' must be stacked over {} layers", stack.theirs,
            count);
    for (int64_t i = 0; i < count; ++i) {
      const Tensor ours = part_of(stack, w, stack.layers[static_cast<size_t>(i)]), one = turned(theirs[i], p);
      check_shape(one, ours, stack.theirs);
      ours.copy_(one);
    }
  }
  return w;
}

std::string reference_fast_name(const std::string& matrix) {
  return "language_model.model.h.suffix_blocks.feed_forward_prime." + matrix + ".weight";
}

ReferenceTensors fast_to_reference(const std::vector<Mlp>& fast_S) {
  std::vector<Tensor> w1, w2, w3;
  for (const Mlp& mlp : fast_S) {
    const auto halves = mlp.w13_FD.chunk(2, -2);
    w1.push_back(turned(halves[0]));
    w3.push_back(turned(halves[1]));
    w2.push_back(turned(mlp.w2_DF));
  }
  return {{"w1", at::stack(w1, -3)}, {"w2", at::stack(w2, -3)}, {"w3", at::stack(w3, -3)}};
}

}  // namespace ingrain
