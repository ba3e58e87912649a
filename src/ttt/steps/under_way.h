// What of a chunk's step is made between calls: its forward passes ahead of the chunk's end (steps/amortized.h), and,
// where a step takes effect some tokens into the next chunk (InnerOptimizer::step_delay), the rest while those are
// written.
#pragma once

#include "ttt/steps/amortized.h"
#include "ttt/steps/step_engine.h"

#include <exception>
#include <optional>
#include <string>

namespace ingrain::ttt {

/// Of the memory of one InnerLoop, which owns it. Invariant: while a delayed step is begun and not finished, the memory
/// stays at the full chunk, and chunk_ is that chunk's.
class StepUnderWay {
 public:
  /// The memory's unfinished chunk as far as it has passed; begun anew where what is here is another chunk's.
  AmortizedChunk& chunk(const StepContext& context);
  /// The same, or nullptr where nothing of it has passed.
  const AmortizedChunk* chunk_if_any(const Memory& memory) const;
  void forget_chunk_unless_of(const Memory& memory);

  /// Whether the step of the memory's full chunk is delayed and made in pieces; else it is made whole.
  static bool delays(const StepContext& context);
  /// REQUIRES: delays(context), and all the chunk's targets are known.
  void begin(const StepContext& context);
  bool begun() const { return begun_.has_value(); }
  /// Does what is due of it once so many tokens of the next chunk have been read. REQUIRES: begun().
  void work(const Network& model, const Memory& memory, int64_t tokens);
  /// Makes the rest, if it was begun; the memory is then at the start of the next chunk.
  void finish(const Network& model, Memory& memory);
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
  std::optional<AmortizedChunk> chunk_;
  std::optional<ReadOptions> begun_;  // what of them it was begun with
  std::optional<Finished> finished_;  // nobody has heard of it
};

}  // namespace ingrain::ttt
