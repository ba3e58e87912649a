// What the ranks of a run tell each other of parameters: gradients to who owns them, weights to everyone.
#pragma once

#include "train/adamw.h"

namespace ingrain::train {

/// Bytes of fp32 gradients that a rank receives at a time, from all others together.
int64_t received_at_once();

/// Not thread-safe; all ranks call the same functions in the same order. Numbers on a GPU go through the host's memory:
/// MPI is not asked whether it could read the GPU's.
class Sharing {
 public:
  /// Keeps a reference to `ranks` and handles of the gradients' memory.
  Sharing(const GradientSums& gradients, distributed::Communicator& ranks);

  distributed::Communicator& ranks() const { return ranks_; }
  const Stretch& own() const { return stretches_[static_cast<size_t>(ranks_.rank())]; }

  /// Blocks (pieces.h) of the longest stretch, which is rank 0's.
  int64_t most_blocks() const { return (stretches_[0].end + kBlock - 1) / kBlock; }

  /// Adds what every rank has in its gradients' flat memory to `sum_n` of the own stretch, rank after rank.
  void add_gradients(const Tensor& sum_n) const;
  /// Then puts the result into the own stretch of the gradients, whose other numbers mean nothing.
  void sum_gradients() const;

  /// Everyone's master weights into everyone's leaves, in their types. The gradients' memory serves as the place for
  /// it and holds nothing afterwards.
  void publish(const AdamW& optimizer) const;

 private:
  uint64_t byte_of(int64_t number) const;

  distributed::Communicator& ranks_;
  Tensor flat_N_;
  std::vector<Stretch> stretches_;
  std::vector<GradientSums::Place> places_;
  std::vector<Tensor> leaves_;    // of places
  std::vector<uint64_t> begins_;  // of places, in bytes of the leaves' types, each at a multiple of 64
  uint64_t bytes_ = 0;
};

}  // namespace ingrain::train
