// Sessions that write in one pass, each at its own position, with its own fast weights, windows, unfinished chunk and
// inner steps. Slow weights are read once for all of them: that is what a batch gains.
#pragma once

#include "session/token_step.h"
#include "ttt/read.h"

#include <memory>
#include <span>
#include <vector>

namespace ingrain::session {

class Session;

/// Every session gets the numbers that it would get alone, up to the order of sums in products and attention, which
/// may depend on how many rows there are: bit for bit on a CPU with one thread and at most 8 rows.
///
/// Between two steps a session may do anything: join, read, fork, leave. A batch and its sessions are one thread's. The
/// network must outlive the batch; sessions and batch may go in any order.
class Batch {
 public:
  explicit Batch(const Network& model);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// From now on the session's tokens may come through here. It leaves the batch where it was. There is a row for every
  /// sequence, twice as many when they do not suffice; then all sessions' windows are copied anew. Error if it is of
  /// another model.
  void add(Session& session);
  /// The session goes on by itself. Rows that are no longer needed go. Error if it is not in this batch.
  void remove(Session& session);
  bool has(const Session& session) const;
  int64_t sessions() const;
  /// Of its rows, in use or not: sessions' windows and fast weights as a step reads them.
  uint64_t bytes() const { return step_ ? step_->bytes() : 0; }

  /// One session's part in a step: its next token (of its memory's every sequence, [B, 1] int64 on the CPU).
  struct Turn {
    Session& session;
    Tensor token_B1;
    const ttt::ReadOptions& options;  // as for Session::write
  };
  /// These sessions read their tokens; the others stay as they are. Sessions whose chunk is full make its inner step
  /// first, one after the other. Error, before anything is read, for an id outside the vocabulary, for a session that
  /// has read nothing yet, is not in this batch, or is named twice. What options.on_step throws goes on (the first of
  /// all) once every token is read.
  void step(std::span<const Turn> turns);

 private:
  friend class Session;
  void check(std::span<const Turn> turns) const;
  void make_room(int64_t needed);
  /// Everyone on as many new rows.
  void seat_anew(int64_t rows);
  std::vector<Session*> everyone() const;

  const Network& model_;
  std::unique_ptr<TokenStep> step_;  // nullptr: nobody was here yet
  std::vector<Session*> seats_;      // a row's session, or nullptr
};

}  // namespace ingrain::session
