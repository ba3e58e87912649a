// What runs: a network, a memory, and everything that makes going on with it fast: rings, a captured graph, work done
// ahead, checkpoints. It lives as long as a conversation does, so that a question neither copies windows nor captures
// anything anew.
#pragma once

#include "session/batch.h"
#include "session/checkpoints.h"

#include <memory>
#include <optional>

namespace ingrain::session {

/// One conversation (or B sequences in step, as its memory has them). Reading many tokens goes through ttt::read;
/// single ones, given or written, go through the rings. Which way is taken depends on how many tokens a call brings,
/// so that a session that was saved and loaded goes on to the last bit. One thread at a time.
///
/// Invariants: memory_ lacks the tokens in unsynced_, which the rows have, and a step that inner_loop_ is making; the
/// rows know the text up to loaded_, or, where loaded_ is -1, nothing.
class Session {
 public:
  /// The network must outlive it.
  explicit Session(const Network& model, ttt::Memory memory, Checkpoints checkpoints = Checkpoints());
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// As ttt::read; keeps the checkpoints that it passes.
  ttt::ReadResult read(const Tensor& tokens_Bn, const ttt::ReadOptions& options = {});
  /// Every sequence's next token, [B, 1] int64 on the CPU: a step in which no other session of the batch takes part.
  /// Error as for Batch::step. `options`: as for ttt::read; scores, taps and fp32_angles there are none of.
  void write(const Tensor& token_B1, const ttt::ReadOptions& options = {});
  /// What the next token is predicted from, [B, V] in the compute type or wider. Valid until the batch's next step.
  /// Error if nothing was read.
  Tensor logits_BV();

  /// Of its memory with the room for more, its rows in a batch, work done ahead and checkpoints not counted. Fast
  /// weights that are `shared`'s very tensors are another's.
  uint64_t bytes(std::span<const Mlp> shared = {}) const;
  int64_t steps() const { return memory_.steps; }  // inner steps made, without one that is under way
  int64_t position() const { return memory_.position + static_cast<int64_t>(unsynced_.size()); }
  /// A step that is delayed and under way is made now, and told of to options.on_step. Error if it was not finite.
  void settle(const ttt::ReadOptions& options = {});
  /// Up to date, with a step that was under way; changed by what is read next. Error if that step was not finite.
  const ttt::Memory& memory();
  /// A copy that shares nothing.
  ttt::Memory snapshot() { return memory().fork(); }
  /// Goes on independently of this one, in no batch.
  std::unique_ptr<Session> fork();

  /// Becomes what `memory` says, of the same model and as many sequences; rings and graph are used again. Checkpoints
  /// stay as they are.
  void become(ttt::Memory memory);
  /// Becomes what it was at a checkpoint, and forgets those after it. False if that position is not kept.
  bool rewind(int64_t position);
  Checkpoints& checkpoints() { return checkpoints_; }
  const Checkpoints& checkpoints() const { return checkpoints_; }

  /// A token's work: whether it is captured by now, and if it cannot be, why. nullptr: no token was written yet. Valid
  /// until the next one.
  const ops::Graph* graph() const;

  /// In how many copies of windows to rings this session was loaded: all of a window, or what was read since.
  struct Loads {
    int64_t whole = 0, parts = 0;
  };
  const Loads& loads() const { return loads_; }

 private:
  friend class Batch;
  bool by_token(int64_t tokens, const ttt::ReadOptions& options) const;
  ttt::ReadResult read_by_token(const Tensor& tokens_Bn, const ttt::ReadOptions& options);
  void take_rows();
  void sync();
  // For the batch, in the order of a step:
  std::exception_ptr finish_chunk(const Tensor& token_B1, const ttt::ReadOptions& options);
  void load();
  void keep_output();
  void has_read(const Tensor& token_B1, const ttt::ReadOptions& options);
  void amortize(const ttt::ReadOptions& options);
  void leave_rows();
  void leave();

  const Network& model_;
  ttt::Memory memory_;
  ttt::InnerLoop inner_loop_;  // of memory_, with what was done ahead
  Checkpoints checkpoints_;
  std::vector<Tensor> unsynced_;  // tokens [B, 1]
  bool unsynced_count_ = true;    // as targets
  std::unique_ptr<Batch> own_;    // while it is in no other
  Batch* batch_ = nullptr;
  Rows rows_;
  int64_t loaded_ = -1;
  /// Which fast weights the rows have: those after so many steps, or those before, of the first tokens of the chunk
  /// that begins there.
  struct LoadedWeights {
    int64_t steps = 0, early_of = -1;
    bool operator==(const LoadedWeights&) const = default;
  } loaded_weights_;
  struct Output {
    Tensor x_BD, logits_BV;
  };
  bool output_is_there_ = false;  // in the rows
  std::optional<Output> kept_;    // where it was lost there to a step without this session
  Loads loads_;
};

}  // namespace ingrain::session
