// The state after reading (DESIGN.md section 1), and reading itself (section 3), for B sequences in step.
#pragma once

#include "model/network.h"
#include "ttt/chunk_ahead.h"
#include "ttt/kv_cache.h"

#include <exception>
#include <memory>
#include <optional>
#include <span>

namespace ingrain::ttt {

/// Everything that later tokens depend on. Copying it shares the tensors, which reading changes in place; fork() shares
/// nothing.
struct Memory {
  int64_t position = 0;       // tokens read
  std::vector<Mlp> W_S;       // fast weights, [B, ...], fp32 (fp64)
  std::vector<KvCache> kv_L;  // every block's window; suffix blocks 1.. also keep the unfinished chunk's own
  // The unfinished chunk (possibly full: then its step is pending until the next token is known).
  int64_t filled = 0;          // tokens of it read
  Tensor h_BbD;                // their prefix outputs, [B, b, D], the first `filled` set
  Tensor target_Bb, valid_Bb;  // their targets (each known once the next token is), int64 and bool
  Tensor x_BD;                 // after the final norm, at the last position: what the next token is predicted from
  int64_t steps = 0;           // inner steps made
  // What was done ahead for the unfinished chunk's step. Follows from the rest, so that forks and files go without it.
  std::shared_ptr<ChunkAhead> ahead;

  int64_t batch() const { return W_S.empty() ? (x_BD.defined() ? x_BD.size(0) : 1) : W_S[0].w13_FD.size(0); }
  Memory fork() const;
};

/// A memory that has read nothing, for B sequences.
Memory empty_memory(const Network& model, int64_t batch = 1);

/// An inner step. Its tensors, and the gradient that comes with it, are valid until the next one: clone what is kept.
struct StepReport {
  int64_t step;           // 0-based, of all that the memory has made
  Tensor loss_B, norm_B;  // L_t before the step; |g_t| before the clip
  Tensor loss_after_B;    // L_t with the weights after it; undefined unless ReadOptions::measure_steps
};

struct ReadOptions {
  bool learn = true;           // make inner steps
  bool learn_these = true;     // whether the tokens of this call count as targets in their chunks' losses
  bool score = true;           // off: the call's first score stays NaN, which saves a product with the head
  double rate_multiplier = 1;  // of the inner rate
  int64_t segment = 0;         // tokens that go through the prefix at once; 0: 2048, on a GPU 8192
  // Reading at most so many tokens a call (writing) passes them forward towards their chunk's inner step ahead of its
  // end, so many at a time, each time spread over as many tokens that follow: the token that ends the chunk waits for
  // the last few and the backward pass. Fewer at a time cost more in all. 0: never. On a GPU: never, all at once is
  // faster there.
  int64_t ahead = 64;
  bool fp32_angles = false;  // round the prefix's RoPE angles as the reference implementation does; to compare with it
  bool measure_steps = false;  // compute StepReport::loss_after_B, at the price of one more pass over each chunk
  Tap tap;
  // When one of these throws, reading stops where keep_going could have stopped it, with the memory whole; then the
  // exception goes on.
  std::function<void(const StepReport&, const Memory&, const std::vector<Mlp>& gradient)> on_step;
  std::function<bool(int64_t tokens_done)> keep_going;  // asked between segments; false makes the next one the last
};

struct ReadResult {
  /// -log p(token | all before), [B, n]; NaN for a sequence's very first token. fp32 (fp64).
  Tensor nll_Bn;
  int64_t tokens_read = 0;  // less than given only if keep_going said stop
};

/// One sequence's tokens as read() takes them, [1, n] int64.
Tensor as_batch(std::span<const int32_t> tokens);

/// What stands as target where the next token is not known yet.
inline constexpr int64_t kUnknownTarget = -1;

/// Enters the targets [B, n] of the unfinished chunk's tokens `first`, ... `count_these`: whether they count in the
/// chunk's loss (an unknown one or a bos never does).
void set_targets(const ModelConfig& config, Memory& memory, int64_t first, const Tensor& target_Bn, bool count_these);

/// Reads tokens [B, n] (int64 ids below the vocabulary size, n >= 0; on the CPU, or on the model's device, where
/// checking them waits for it) into the memory. Any split of a text into calls gives the same memory and scores, up to
/// the order of floating-point sums. A token's score never depends on later ones. An exception from within (no memory
/// left) leaves the memory between two states: go back to a fork.
ReadResult read(const Network& model, Memory& memory, const Tensor& tokens_Bn, const ReadOptions& options = {});

/// For a full chunk, whose step is pending until its last target is known: the next token [B] (on the model's device)
/// is that. Makes the step; the token itself is for the caller to read, who then rethrows what on_step threw, if
/// anything.
[[nodiscard]] std::exception_ptr finish_chunk(const Network& model, Memory& memory, const Tensor& next_B,
                                              const ReadOptions& options);

/// Error if nothing was read: then there is nothing to predict from.
void require_something_read(const Memory& memory);

/// Logits [B, V] for the next token, fp32 (fp64). Error if nothing was read.
Tensor next_logits(const Network& model, const Memory& memory);

}  // namespace ingrain::ttt
