// The ranks' gradients of one pass, summed by who owns them while the backward pass goes on.
#pragma once

#include "train/pieces.h"

#include <deque>

namespace ingrain::train {

/// Bytes of fp32 gradients that a rank receives at a time, from all others together; two buckets, if those are more.
int64_t received_at_once();

/// Buckets (pieces.h) are sent from the last one on, each as soon as its numbers are final; of what arrives a rank adds
/// the ranks' numbers in the order of the ranks. So neither when a bucket is sent nor when it arrives decides a bit.
/// Numbers that the transport cannot take from where they lie (a GPU's, by MPI, which is not asked whether it could)
/// all go at the end, through the host's memory: to copy them earlier the host would have to wait for them.
///
/// Not thread-safe; all ranks make as many and call finish(). What is under way when one is destroyed unfinished, by an
/// exception, may still write: the process is to end.
class Reduction {
 public:
  /// Sums go to the own numbers of `flat_N` or, if `sum_n` is defined, are added to it: the own numbers one after
  /// another. `reads`: the transport reads and writes the memory of flat_N. Keeps references to `ranks` and `buckets`.
  Reduction(distributed::Communicator& ranks, const std::vector<Bucket>& buckets, const Tensor& flat_N,
            const Tensor& sum_n, bool reads);
  Reduction(const Reduction&) = delete;
  Reduction& operator=(const Reduction&) = delete;

  /// The numbers from `first` on are final. Begins what can be.
  void settle(int64_t first);
  /// Gives the transport a moment, and adds what has arrived.
  void advance();
  /// All numbers are final; returns when all sums are there.
  void finish();

  /// Buckets of which the exchange has begun.
  int64_t begun() const { return static_cast<int64_t>(buckets_.size() - next_); }

 private:
  struct UnderWay {
    size_t bucket;
    uint64_t exchange;
    Tensor out_n, in_Rn;  // the bucket, where it lies or as a copy; every rank's numbers for the own stretch
  };

  void begin_next();
  void add(const UnderWay& arrived);
  bool room_for_next() const;
  int64_t numbers(size_t bucket) const { return buckets_[bucket].whole.end - buckets_[bucket].whole.begin; }
  const Stretch& own(size_t bucket) const { return buckets_[bucket].of_R[static_cast<size_t>(ranks_.rank())]; }

  distributed::Communicator& ranks_;
  const std::vector<Bucket>& buckets_;
  Tensor flat_N_, sum_n_;
  bool reads_;
  std::vector<int64_t> places_;  // of buckets' own numbers in sum_n
  size_t next_;                  // buckets from here on have begun
  int64_t final_from_;           // numbers from here on are final
  int64_t arriving_ = 0;         // numbers of all that is under way
  std::deque<UnderWay> under_way_;
};

}  // namespace ingrain::train
