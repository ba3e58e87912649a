// One training run in memory: batches in, AdamW steps out. Files, logs and signals are the business of run.h.
#pragma once

#include "data/corpus.h"
#include "ttt/gradient_sums.h"
#include "model/network.h"
#include "train/run_config.h"
#include "train/sharing.h"
#include "train/validation.h"
#include "ttt/outer_gradient.h"

namespace ingrain::train {

/// What one step of the outer loop did.
struct StepReport {
  int64_t step = 0;                                // its number, from 0
  double loss = 0, first_loss = 0, last_loss = 0;  // mean over all chunks, of the first, of the last
  double lr = 0, inner_rate = 0;
  double gradient_norm = 0;  // before the clip
  double inner_norm = 0;     // mean |g_t| over sequences and chunks; 0 in standard mode
  int64_t tokens = 0;        // of this step
  bool skipped = false;      // loss or gradient was not finite: nothing moved
};

/// Counters that checkpoints keep beside the tensors.
struct Counters {
  int64_t step = 0;     // steps done
  int64_t tokens = 0;   // seen, skipped steps included
  int64_t skipped = 0;  // steps, altogether
  int64_t skipped_in_a_row = 0;
};

/// Where the weights are that are not trained and that checkpoints leave out: the model that the run began with.
struct FrozenSource {
  std::filesystem::path folder;
  std::string fingerprint;
};

/// A stretch of a tensor that a checkpoint holds.
struct StateTensor {
  std::string name;
  Tensor x_n;         // its numbers, live
  int64_t first = 0;  // in the tensor
};

/// Not thread-safe. The same configuration on the same CPU with as many threads gives the same bits; with
/// train.reduction = "ordered", whatever the number of ranks.
class Trainer {
 public:
  /// Draws or loads the initial weights and opens the data. With several ranks every call is to be made on all of them;
  /// each one reads its own sequences and owns a stretch of moments and master weights.
  explicit Trainer(const RunConfig& run, distributed::Communicator& ranks = distributed::alone());
  // The gradients share the compute weights' memory, the optimizer the master weights' and the sums'.
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// The next batch and one AdamW step. Error after train.max_skipped skipped steps in a row.
  StepReport advance();
  bool done() const { return counters_.step >= run_.train.steps; }

  /// Reads each validation file's first sequences with the current weights. `keep_going` is asked between sequences;
  /// false ends the work with no report.
  std::optional<std::vector<ValidationReport>> validate(const std::function<bool()>& keep_going = {}) const;

  const RunConfig& run() const { return run_; }
  at::Device device() const { return device_; }
  bool recomputes() const { return recompute_; }  // activations; decided by plan_recompute before anything is allocated
  distributed::Communicator& ranks() const { return sharing_.ranks(); }
  /// Gradients and weights travel by `gpus` from now on (sharing.h).
  void travel_by(distributed::Communicator& gpus) { sharing_.travel_by(gpus); }
  /// fp32. With several ranks and another compute type no rank has all of them: what is trained is undefined then.
  const Weights& master() const { return master_; }
  /// There only if the run began with a model folder and leaves some of its weights as they are.
  const std::optional<FrozenSource>& frozen() const { return frozen_; }
  const AdamW& optimizer() const { return optimizer_; }
  const Counters& counters() const { return counters_; }
  data::LoaderState loader_state() const { return loader_.state(); }

  /// Every tensor that the future depends on: the master weights under their own names (without those of frozen()),
  /// and beside every trained one its ".first_moment" and ".second_moment". Of each the stretch that this rank owns,
  /// the whole in a run of one process. A checkpoint is these and the two states below.
  std::vector<StateTensor> state() const;
  /// Their names with their whole shapes, the same on all ranks.
  std::vector<std::pair<std::string, std::vector<int64_t>>> state_shapes() const;
  /// Continues from there. The tensors must have been filled in already (they are live).
  void restore(const Counters& counters, int64_t optimizer_steps, const data::LoaderState& loader);

 private:
  Weights first_weights();
  void refresh_compute_weights() const;  // the tensors, not the handles
  /// The batch's gradient, in the own stretch of the sums; the figures of each pass, [passes, 4].
  Tensor sum_gradients(double multiplier);

  RunConfig run_;
  const ModelConfig& c_ = run_.model.config;
  at::Device device_;
  bool recompute_;
  std::optional<FrozenSource> frozen_;
  Weights master_, compute_;
  GradientSums gradients_;
  Sharing sharing_;
  AdamW optimizer_;
  mutable bool stale_ = false;  // the leaves, since other ranks' master weights have moved
  data::Corpus corpus_;
  data::Loader loader_;
  Counters counters_;
};

}  // namespace ingrain::train
