// The plain step, which the other two fall back on.
#pragma once

#include "ttt/steps/step_engine.h"

namespace ingrain::ttt {

/// Where the step's result goes: in place, unless a fork uses the tensor, too, or the weights before it are still
/// needed.
FastState place_of_next(const ModelConfig& config, const Memory& memory);
/// `next` becomes the memory's; the weights before it become early ones, where steps are delayed.
void take_step(const ModelConfig& config, Memory& memory, FastState next);

class PlainSteps : public StepEngine {
 public:
  explicit PlainSteps(const StepContext& context);
  InnerStep step(const Tensor& h_BbD, const Rope& rope, const Tap& tap) override;

 protected:
  /// At the fast weights that the chunk's tokens were read with.
  virtual ChunkGradient gradient(const ChunkInput& chunk, const Tap& tap);
  /// Once the step was made.
  void measure(const ChunkInput& chunk, InnerStep& step);

  const Network& model_;
  const ModelConfig& c_;
  const Weights& w_;
  Memory& m_;
  const ReadOptions& options_;

 private:
  /// The memory by one step of the rule. Returns |g| [B].
  Tensor move(const std::vector<Mlp>& g_S);
  ChunkGradient gradient_again(const ChunkInput& chunk);
};

}  // namespace ingrain::ttt
