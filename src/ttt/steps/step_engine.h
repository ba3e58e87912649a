// The three ways to make a chunk's inner step at its end: plainly; as a captured graph, where many whole chunks follow
// each other on a GPU; amortized, its forward passes made ahead while tokens come one by one. All give the numbers of
// inner_step.h and inner_optimizer.h, up to the order of sums; the last two only make it faster and can be deleted. A
// step that takes effect later may also be made in pieces after the chunk's end (under_way.h).
#pragma once

#include "ttt/inner_step.h"
#include "ttt/read.h"

namespace ingrain::ttt {

/// An inner step that was made. Valid until the engine's next one.
struct InnerStep {
  ChunkGradient gradient = {};  // its keys and values are empty where the memory's windows have them already
  Tensor norm_B;
  Tensor loss_after_B;  // undefined unless ReadOptions::measure_steps
};

/// Makes the steps of one call of ttt::read.
class StepEngine {
 public:
  virtual ~StepEngine() = default;
  /// chunk_gradient and inner_step of a whole chunk, which moves memory.W_S. Its targets are the memory's target_Bb and
  /// valid_Bb; h_BbD and rope as in ChunkInput. memory.filled: 0, or the chunk if it was read in parts, which have left
  /// their keys and values in the memory's windows.
  virtual InnerStep step(const Tensor& h_BbD, const Rope& rope, const Tap& tap) = 0;
  /// The targets of the unfinished chunk's first `known` tokens, all in the memory, are known.
  virtual void advance(int64_t /*known*/) {}
};

/// What an engine works on; all of it outlives it.
struct StepContext {
  const Network& model;
  Memory& memory;
  const ReadOptions& options;
};

std::unique_ptr<StepEngine> make_plain_steps(const StepContext& context);
/// tokens: that the call brings. Chunks that cannot be captured, or do not pay for it, make plain steps.
std::unique_ptr<StepEngine> make_graph_steps(const StepContext& context, int64_t tokens);
/// under_way: kept from call to call.
std::unique_ptr<StepEngine> make_amortized_steps(const StepContext& context, StepUnderWay& under_way);

/// The fastest that fits the call.
std::unique_ptr<StepEngine> make_step_engine(const StepContext& context, int64_t tokens, StepUnderWay& under_way);

}  // namespace ingrain::ttt
