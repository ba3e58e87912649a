// The plain step, which the other two fall back on.
#pragma once

#include "ttt/steps/step_engine.h"

namespace ingrain::ttt {

class PlainSteps : public StepEngine {
 public:
  explicit PlainSteps(const StepContext& context);
  InnerStep step(const Tensor& h_BbD, const Rope& rope, const Tap& tap) override;

 protected:
  /// At the fast weights that the chunk's tokens were read with.
  virtual ChunkGradient gradient(const ChunkInput& chunk, const Tap& tap);

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
