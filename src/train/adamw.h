// AdamW with a global clip, over all parameters at once (docs/training.md).
#pragma once

#include "train/pieces.h"

namespace ingrain::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  double clip = 1;  // of the gradient's global norm; no epsilon
  bool decay_embedding = true;
};

/// Owns the moments of a rank's pieces; works in place on their master weights (fp32 or fp64). Not thread-safe.
class AdamW {
 public:
  /// Of `gradients`, what lies in `own` is stepped, in `master` or, if `copies`, in copies of its own, so that `master`
  /// may be dropped.
  AdamW(const ModelConfig& config, const Weights& master, const GradientSums& gradients, std::span<const Stretch> own,
        const AdamWOptions& options, bool copies = false);
  /// All that is trained.
  AdamW(const ModelConfig& config, const Weights& master, const GradientSums& gradients, const AdamWOptions& options);

  /// The own gradients' squares by block (block_squares).
  Tensor squares() const;
  /// Their norm: one number, fp64, on their device. The gradients' global norm where all of them are this one's.
  Tensor gradient_norm() const { return squares().sum().sqrt(); }
  /// One step with rate `lr`. Clips the gradients in place. `norm` is the global norm now; REQUIRES: it is finite.
  void step(double lr, double norm);

  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }

  /// A piece with its numbers, [n], as live tensors.
  struct State {
    Piece piece;
    Tensor weight_n, first_n, second_n;
  };
  std::vector<State> state() const;

 private:
  /// Pieces that share a weight decay go through one fused call.
  struct Group {
    std::vector<Piece> pieces;
    std::vector<Tensor> weights, gradients, first, second;
    std::vector<Tensor> steps;  // the same tensor for all: they count together
    double weight_decay;
  };

  AdamWOptions options_;
  std::vector<Tensor> own_n_;  // by stretch
  std::vector<Group> groups_;
  int64_t steps_ = 0;
};

}  // namespace ingrain::train
