// The loss of held-out text while training: with learning and without, and how it falls with the position.
#pragma once

#include "distributed/communicator.h"
#include "model/network.h"
#include "train/run_config.h"

#include <functional>
#include <optional>

namespace ingrain::train {

/// What a validation file's loss is, learning on and off.
struct ValidationReport {
  std::string name;
  double loss_on = 0, loss_off = 0;               // mean over counted tokens whose loss is finite; NaN if there is none
  int64_t not_finite_on = 0, not_finite_off = 0;  // counted tokens whose loss is not
  std::vector<int64_t> position_P;                // where each of at most eight equal parts begins
  std::vector<double> loss_on_P, loss_off_P;
  int64_t tokens = 0;
};

/// Error if a file of [validation] cannot be used: missing, too short for one sequence, with ids beyond the vocabulary,
/// or prepared with another tokenizer or id that begins a document than the training data. Costs little: for knowing it
/// before the first step.
void check_validation(const RunConfig& run);

/// The files of [validation], each read from its beginning in `sequences` separate sequences of `length` tokens
/// (fewer if the file is shorter), which the ranks share. nullopt if one's `keep_going` said stop. Error if a file is
/// too short for one.
std::optional<std::vector<ValidationReport>> validate_files(const Network& model, const RunConfig& run,
                                                            const std::function<bool()>& keep_going,
                                                            distributed::Communicator& ranks = distributed::alone());

}  // namespace ingrain::train
