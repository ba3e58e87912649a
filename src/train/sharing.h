// What the ranks of a run tell each other of parameters: gradients to who owns them, weights to everyone.
#pragma once

#include "train/adamw.h"
#include "train/reduction.h"

namespace ingrain::train {

/// Not thread-safe; all ranks call the same functions in the same order. Numbers on a GPU go through the host's memory,
/// or by who can read it.
class Sharing {
 public:
  /// Keeps a reference to `ranks` and handles of the gradients' memory.
  Sharing(const GradientSums& gradients, distributed::Communicator& ranks);

  /// From now on numbers go by `gpus`, another communicator of the same ranks, which reads the gradients' memory. Keeps
  /// a reference to it.
  void travel_by(distributed::Communicator& gpus) { gpus_ = &gpus; }

  distributed::Communicator& ranks() const { return ranks_; }
  const std::vector<Stretch>& own() const { return own_; }

  /// Blocks (pieces.h) that rank 0 owns; nobody has more.
  int64_t most_blocks() const;
  /// What the ranks said of their blocks, `most_blocks()` each, by rank, at `said_RM` + r `stride`: in the flat
  /// memory's order, the same however many ranks there are.
  std::vector<double> by_block(const double* said_RM, size_t stride) const;

  /// The reduction of one pass. `sum_n`: zeros_of_own(), or undefined.
  Reduction reduction(const Tensor& sum_n) const { return {carrier(), buckets_, flat_N_, sum_n, reads()}; }
  /// Numbers of the own stretches, one after another.
  Tensor zeros_of_own() const { return at::zeros({count_of(own_)}, flat_N_.options()); }
  /// Puts such numbers into the own stretches of the gradients, whose other numbers mean nothing then.
  void take(const Tensor& sum_n) const;

  /// Everyone's master weights into everyone's leaves, in their types. The gradients' memory serves as the place for
  /// it and holds nothing afterwards.
  void publish(const AdamW& optimizer) const;

 private:
  uint64_t byte_of(int64_t number) const;
  distributed::Communicator& carrier() const { return gpus_ ? *gpus_ : ranks_; }
  bool reads() const { return gpus_ || flat_N_.is_cpu(); }

  distributed::Communicator& ranks_;
  distributed::Communicator* gpus_ = nullptr;
  Tensor flat_N_;
  std::vector<Bucket> buckets_;
  std::vector<Stretch> own_;
  std::vector<GradientSums::Place> places_;
  std::vector<Tensor> leaves_;    // of places
  std::vector<uint64_t> begins_;  // of places, in bytes of the leaves' types, each at a multiple of 64
  uint64_t bytes_ = 0;
};

}  // namespace ingrain::train
