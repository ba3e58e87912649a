// A training run from beginning to end: steps, log, validation, checkpoints, and what a person sees of it.
#pragma once

#include "train/checkpoint.h"

namespace ingrain::train {

struct RunOptions {
  bool resume = false;
  std::function<bool()> interrupted;            // asked between steps; true: checkpoint, then an orderly end
  std::function<void(const std::string&)> say;  // lines for people
  distributed::Communicator* ranks = nullptr;   // that share the run; none: one process
};

enum class RunEnd { finished, interrupted };

/// Runs until train.steps are done or `interrupted` says so. The log (JSON lines) holds one object per log.every steps,
///   {"step", "loss", "first_chunk_loss", "last_chunk_loss", "lr", "inner_rate", "gradient_norm", "inner_norm",
///   "tokens",
///    "tokens_per_second", "seconds", "skipped"}
/// and one per validation file: {"step", "validation", "loss_on", "loss_off", "position", "loss_on_by_position", ...}.
/// With several ranks also {"bytes_sent", "communication_seconds"}, rank 0's of this step. `step` counts steps done.
/// Whatever the run needs later is looked at before the first step: the validation files, the places that are written,
/// the space for a checkpoint. Error if the folder holds another run's checkpoints and resume is false, and on what
/// Trainer and checkpoints throw. With several ranks all of them call it; rank 0 speaks, and keeps log and model.
RunEnd run_training(const RunConfig& config, const RunOptions& options);

}  // namespace ingrain::train
