// A chunk's step that takes effect some tokens into the next chunk (InnerOptimizer::step_delay), made while those are
// written: between its beginning and its end the memory stays at the full chunk.
#pragma once

#include "ttt/steps/amortized.h"
#include "ttt/steps/step_engine.h"

#include <exception>
#include <memory>
#include <string>

namespace ingrain::ttt {

class DelayedStep {
 public:
  /// Whether the step of the memory's full chunk is made so; else it is made whole.
  static bool fits(const StepContext& context);

  bool begun() const { return begun_ != nullptr; }
  /// REQUIRES: fits(context), and all the chunk's targets are known. `ahead`: what has passed of the chunk.
  void begin(const StepContext& context, std::unique_ptr<AmortizedChunk>& ahead);
  /// Makes the rest, if it was begun; the memory is then at the start of the next chunk.
  void finish(const Network& model, Memory& memory, std::unique_ptr<AmortizedChunk>& ahead);
  /// Forgets what was begun and what was finished.
  void drop();

  /// Calls on_step for a step that was finished since. Returns what that threw, or that the step was not finite.
  [[nodiscard]] std::exception_ptr report(const Memory& memory, const ReadOptions& options);
  /// Error if the step that was finished since was not finite.
  void require_finite() const;

 private:
  struct Finished {
    StepReport step;
    std::vector<Mlp> g_S;
    std::string problem;  // what of it is not finite
  };
  std::unique_ptr<ReadOptions> begun_;  // what of them it was begun with
  std::unique_ptr<Finished> finished_;  // nobody has heard of it
};

}  // namespace ingrain::ttt
