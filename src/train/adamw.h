// AdamW with a global clip, over all parameters at once (docs/training.md).
#pragma once

#include "model/weights.h"

namespace ingrain::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  double clip = 1;  // of the gradient's global norm; no epsilon
  bool decay_embedding = true;
};

/// Owns the moments; works in place on master weights (fp32 or fp64). Not thread-safe.
class AdamW {
 public:
  /// `gradients` says which parameters are trained: those whose sum is defined.
  AdamW(const ModelConfig& config, const Weights& master, const Weights& gradients, const AdamWOptions& options);

  /// The gradients' global norm: one number, fp64, on their device. 0 where nothing is trained.
  Tensor gradient_norm() const;
  /// One step with rate `lr`. Clips the gradients in place. `norm` is what gradient_norm() says now; REQUIRES: it is
  /// finite.
  void step(double lr, double norm);

  int64_t steps() const { return steps_; }

  /// The state under names ("blocks.3.wqkv.first_moment"), as live tensors, for checkpoints; and its step count.
  std::vector<std::pair<std::string, Tensor>> state() const;
  void set_steps(int64_t steps) { steps_ = steps; }

 private:
  /// Parameters that share a weight decay go through one fused call.
  struct Group {
    std::vector<std::string> names;
    std::vector<Tensor> weights, gradients, first, second;
    std::vector<Tensor> steps;  // the same tensor for all: they count together
    double weight_decay;
  };

  AdamWOptions options_;
  std::vector<Group> groups_;
  int64_t steps_ = 0;
};

}  // namespace ingrain::train
