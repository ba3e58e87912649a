// The amortized step: the forward passes of a chunk's inner step are made while its tokens come.
#pragma once

#include "ops/linear_cross_entropy/pieces.h"
#include "ttt/inner_step.h"
#include "ttt/memory.h"
#include "ttt/read.h"
#include "ttt/steps/piecewise.h"

#include <memory>
#include <optional>

namespace ingrain::ttt {

/// Whether reading `tokens` tokens a call makes amortized steps.
bool amortizes(const Network& model, const ReadOptions& options, int64_t tokens);

/// chunk_gradient of a memory's unfinished chunk, which is passed forward ahead of its end, a part at a time: suffix,
/// head, and the loss's gradient at the head; what is left is one backward pass, which is made in pieces where the step
/// takes effect later. The work is spread, in units, over the
/// tokens of the chunk's second half: many texts end before it, and what was done for their chunk is done for nothing.
/// Which parts there are, and what goes into them, depends on the memory
/// alone: it does not matter when their units are made.
///
/// Invariants: tokens 0 .. done - 1 of the chunk are passed, in whole parts; a part under way has begun with token
/// done.
class AmortizedChunk {
 public:
  /// most: tokens of a part. The last ones of a chunk are smaller, since its end waits for the last.
  AmortizedChunk(const ModelConfig& config, const Memory& memory, int64_t most);

  /// Whether this is the work of the memory's unfinished chunk, not that of an earlier one or of another memory.
  bool belongs_to(const Memory& memory) const;

  int64_t done() const { return done_; }
  /// The part under way, or the next one, is that of tokens done() .. done() + part_tokens() - 1.
  int64_t part_tokens() const { return part_tokens_at(done_); }
  /// How many tokens the parts have that are whole with `filled` tokens.
  int64_t whole_parts(int64_t filled) const;
  /// How many units should be made once so many tokens of the chunk are there: none in its first half, all in its
  /// second. A backlog is worked off gradually.
  int64_t units_due(int64_t tokens) const;
  /// The next one. REQUIRES: the memory it belongs to has its part's tokens and their targets.
  void make_unit(const Weights& weights, const Memory& memory);

  // Where steps are delayed, once the chunk is full and all its targets are known:

  /// The units from here on are those of the step, too; they are spread evenly over the next chunk's first tokens.
  void begin_step(double rate_multiplier);
  bool step_begun() const { return step_work_ > 0; }
  /// Whether the next one should be made once so many tokens of the next chunk have been read.
  bool step_due(int64_t tokens) const;
  bool step_made() const { return step_work_left() == 0; }
  void make_step_unit(const Weights& weights, const Memory& memory);
  /// The step becomes the memory's. REQUIRES: step_made().
  InnerStep take_step(Memory& memory);

  /// The whole chunk's, once done() is its length. `in`, `valid` as for chunk_gradient.
  ChunkGradient gradient(const Weights& weights, const std::vector<Mlp>& W_S, const ChunkInput& in,
                         const Tensor& valid_BT);

 private:
  struct Part {
    Rope rope;
    Tensor target_BT, valid_BT;
    SuffixPass suffix;
    std::optional<ops::CrossEntropyInPieces> head = {};  // once the suffix is passed
  };
  int64_t part_tokens_at(int64_t first) const;
  int64_t step_work_left() const;  // in units of a part, by the time that they take
  void keep_for_step(size_t call);
  /// Those of the suffix, then the head in pieces that take about as long.
  int64_t units_a_part() const;
  int64_t units_made() const;
  void begin_part(const Weights& weights, const Memory& memory);
  void suffix_unit(const Weights& weights, const Memory& memory);
  void head_unit(const Weights& weights);
  void finish_part(const Weights& weights);

  const ModelConfig config_;
  const int64_t most_;
  const Tensor chunk_of_;  // the memory's h_BbD, by which it is known,
  const int64_t begin_;    // and the chunk's first position
  PassedChunk chunk_;
  int64_t done_ = 0;
  std::optional<Part> part_;
  std::vector<RecurrentState> state_S1_;  // of suffix blocks 1 .. S-1 that are recurrent, as far as they are passed
  double rate_multiplier_ = 1;
  int64_t step_work_ = 0;  // that was left when it was begun
  std::unique_ptr<PiecewiseStep> step_;
};

}  // namespace ingrain::ttt
