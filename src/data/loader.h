// Training batches from a corpus: the same ones in the same order on every machine, resumable at any point.
#pragma once

#include "data/corpus.h"
#include "data/numpy_random.h"

#include <nlohmann/json_fwd.hpp>

namespace ingrain::data {

/// How an epoch is ordered. Both cut the stream into sequences of `length` from a random offset below
/// `length`, permute them and take `batch` at a time; a rest smaller than a batch is dropped. They differ in
/// the generator:
enum class Order {
  splitmix,  // "packed": SplitMix64(seed, epoch): any epoch can be reached at once
  numpy,     // one numpy default_rng(seed) through all epochs: integers(0, T), permutation((N-1-offset)/T)
};

/// "packed" or "numpy"; OptionError for any other word.
Order order_from_name(std::string_view name);

struct LoaderOptions {
  int64_t batch = 1;      // B: sequences in a batch, over all ranks together
  int64_t length = 1024;  // T: predicted tokens per sequence; a sequence holds T + 1
  Order order = Order::splitmix;
  uint64_t seed = 1;
  uint64_t skip = 0;  // batches left out at the very beginning (the reference run used six to warm up)
  int rank = 0;       // this rank takes the batch's sequences rank, rank + ranks, ...
  int ranks = 1;      // must divide `batch`
};

/// Where a loader stands: the next batch is number `batch` of epoch `epoch`.
/// `plan` is a checksum of all that decides the order; ranks are not part of it.
struct LoaderState {
  uint64_t epoch = 0;
  uint64_t batch = 0;
  uint64_t plan = 0;
  bool operator==(const LoaderState&) const = default;
};

void to_json(nlohmann::json& json, const LoaderState& state);
/// Error if a field is missing or mistyped.
void from_json(const nlohmann::json& json, LoaderState& state);

struct Batch {
  int64_t rows = 0;             // sequences of this rank: B / ranks
  int64_t length = 0;           // T
  std::vector<int32_t> tokens;  // [rows, T + 1], row-major: inputs are [:, :-1], targets [:, 1:]
};

/// Not thread-safe; several loaders may share one corpus.
class Loader {
 public:
  /// Keeps a reference to `corpus`. Error, with the remedy, if the corpus is too small for one batch in every
  /// epoch or an option is out of range.
  Loader(const Corpus& corpus, const LoaderOptions& options);

  /// The next batch; epochs follow each other without end.
  Batch next();
  /// Number of batches in the current epoch (it may differ by one between epochs, with the offset).
  uint64_t batches_in_epoch() const;

  LoaderState state() const { return state_; }
  /// Continues exactly where `state` was taken. Error if data, batch, length, order or seed are others.
  void resume(const LoaderState& state);

 private:
  void begin_epoch(uint64_t epoch);
  template <class Generator>
  void draw_epoch(Generator& generator);
  uint64_t plan() const;

  const Corpus& corpus_;
  LoaderOptions options_;
  LoaderState state_;
  NumpyRandom numpy_;  // used by Order::numpy, after `numpy_epochs_` epochs were drawn
  uint64_t numpy_epochs_ = 0;
  uint64_t offset_ = 0;          // of the epoch's first sequence
  std::vector<uint32_t> order_;  // the epoch's sequences
};

}  // namespace ingrain::data
