// The inner loop: reading is learning. Tokens are scored, chunk by chunk, and every chunk makes one inner step on the
// fast weights (docs/mathematics.md; its gradient is ttt/inner_step.h, the step ttt/inner_optimizer.h).
#pragma once

#include "ttt/memory.h"

#include <exception>
#include <memory>
#include <span>

namespace ingrain::ttt {

/// An inner step, or of a chunk's several the first. Its tensors, and the gradient that comes with it, are valid until
/// the next one: clone what is kept.
struct StepReport {
  int64_t step;           // 0-based, of all that the memory has made
  Tensor loss_B, norm_B;  // L_t before the step; |g_t| before the clip
  Tensor loss_after_B;    // L_t with the weights after the last; undefined unless ReadOptions::measure_steps
};

struct ReadOptions {
  bool learn = true;           // make inner steps
  bool learn_these = true;     // whether the tokens of this call count as targets in their chunks' losses
  bool score = true;           // off: the call's first score stays NaN, which saves a product with the head
  double rate_multiplier = 1;  // of the inner rate
  int64_t prefill = 0;         // tokens that go through the prefix at once; 0: 2048, on a GPU 8192
  // Reading at most so many tokens a call (writing) amortizes the inner step: the chunk's tokens pass forward towards
  // it ahead of its end, so many at a time, each time spread over as many tokens that follow: the token that ends the
  // chunk waits for the last few and the backward pass. Fewer at a time cost more in all. 0: never. On a GPU: never,
  // all at once is faster there.
  int64_t ahead = 64;
  bool fp32_angles = false;  // round the prefix's RoPE angles as the reference implementation does; to compare with it
  bool finite = true;        // Error, naming the position, at the first loss or inner gradient that is not finite
  bool measure_steps = false;  // compute StepReport::loss_after_B, at the price of one more pass over each chunk
  Tap tap;
  // When one of these throws, reading stops where keep_going could have stopped it, with the memory whole; then the
  // exception goes on.
  std::function<void(const StepReport&, const Memory&, const std::vector<Mlp>& gradient)> on_step;
  std::function<bool(int64_t tokens_done)> keep_going;  // asked between prefills; false makes the next one the last
};

struct ReadResult {
  /// -log p(token | all before), [B, n]; NaN for a sequence's very first token. fp32 (fp64).
  Tensor nll_Bn;
  int64_t tokens_read = 0;  // less than given only if keep_going said stop
};

/// One sequence's tokens as read() takes them, [1, n] int64.
Tensor as_batch(std::span<const int32_t> tokens);

/// Reads tokens [B, n] (int64 ids below the vocabulary size, n >= 0; on the CPU, or on the model's device, where
/// checking them waits for it) into the memory. Any split of a text into calls gives the same memory and scores, up to
/// the order of floating-point sums. A token's score never depends on later ones. An exception from within (no memory
/// left; a loss that is not finite, looked for after every prefill) leaves the memory between two states, or spoilt: go
/// back to a fork.
ReadResult read(const Network& model, Memory& memory, const Tensor& tokens_Bn, const ReadOptions& options = {});

class StepUnderWay;

/// The same over many calls: what was done ahead for the unfinished chunk's step is kept from one to the next, where
/// they bring few tokens each. It follows from the memory and changes no bit, so that files and forks go without it;
/// whatever becomes of the memory between two calls is allowed. Both must outlive it. Not thread-safe. It stays where
/// it is made: what is under way belongs to this memory.
class InnerLoop {
 public:
  InnerLoop(const Network& model, Memory& memory);
  InnerLoop(const InnerLoop&) = delete;
  InnerLoop& operator=(const InnerLoop&) = delete;
  ~InnerLoop();

  ReadResult read(const Tensor& tokens_Bn, const ReadOptions& options = {});
  const Network& model() const { return model_; }
  const Memory& memory() const { return memory_; }

  // For who brings the memory up to date by itself (session/session.h):

  /// The newest token's target has become known: the next token [B], on the model's device, which the caller then
  /// reads. A full chunk has waited for it and makes its step; or, where steps are delayed and amortized, begins it.
  /// Returns what on_step threw, or that a step was not finite, if so, to be rethrown once the token is read.
  [[nodiscard]] std::exception_ptr set_last_target(const Tensor& token_B, const ReadOptions& options);
  /// Whether a step was begun: the chunk after it must not reach the memory before it is finished.
  bool step_begun() const;
  /// Does what is due of it once so many tokens of the next chunk have been read.
  void work_on_step(int64_t tokens);
  /// Makes the rest of it, if one was begun; the memory is then at the start of the next chunk. on_step hears of it
  /// with the next call that has options.
  void finish_step();
  /// The memory is to become another: what was begun is not wanted.
  void drop_step();
  /// Error if the step that was finished since was not finite; report() says so, too.
  void require_finite_step() const;
  /// Calls on_step for a step that was finished since; returns as set_last_target does.
  [[nodiscard]] std::exception_ptr report(const ReadOptions& options);
  /// How many of the unfinished chunk's tokens must be in the memory, targets included, before amortize(known).
  int64_t tokens_wanted(int64_t known, const ReadOptions& options);
  /// Does what is due for the chunk's step once `known` of its tokens have known targets.
  void amortize(int64_t known, const ReadOptions& options);
  /// Tokens of the unfinished chunk that have passed ahead.
  int64_t passed_ahead() const;

 private:
  friend ReadResult read(const Network&, Memory&, const Tensor&, const ReadOptions&);
  ReadResult read(const Tensor& tokens_Bn, const ReadOptions& options, bool more_calls);

  const Network& model_;
  Memory& memory_;
  const std::unique_ptr<StepUnderWay> step_;  // never null; a pointer for its headers' sake
};

}  // namespace ingrain::ttt
