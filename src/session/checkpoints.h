// Going back: copies of a memory at its latest chunk boundaries, within a budget of bytes.
#pragma once

#include "ttt/read.h"

#include <deque>

namespace ingrain::session {

/// Copies by rising position; the oldest go first when the budget is full. A value, like the memories in it.
class Checkpoints {
 public:
  /// Budget 0 keeps nothing.
  explicit Checkpoints(uint64_t budget = 0) : budget_(budget) {}

  /// Drops the oldest copies that no longer fit.
  void set_budget(uint64_t budget);
  /// Keeps a fork of `memory`, if one fits the budget. Whatever was kept at its position or after it is dropped.
  void keep(const ttt::Memory& memory);
  /// The memory as it was at `position`; nullptr if that is not kept.
  const ttt::Memory* find(int64_t position) const;
  /// Drops what lies after `position`.
  void forget_after(int64_t position);
  std::vector<int64_t> positions() const;
  /// How many memories of `bytes` fit.
  int64_t capacity(uint64_t bytes) const { return bytes == 0 ? 0 : static_cast<int64_t>(budget_ / bytes); }

 private:
  void make_room(uint64_t bytes);

  struct Kept {
    ttt::Memory memory;
    uint64_t bytes;
  };
  uint64_t budget_, bytes_ = 0;
  std::deque<Kept> kept_;
};

/// ttt::read that keeps the boundaries which it passes, the latest of them: positions that are multiples of the chunk,
/// where the chunk's step is pending. Reads in one go up to the first of those that will stay.
ttt::ReadResult read(ttt::InnerLoop& loop, Checkpoints& checkpoints, const Tensor& tokens_Bn,
                     const ttt::ReadOptions& options);

}  // namespace ingrain::session
