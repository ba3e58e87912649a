// The loss of held-out text while training: with learning and without, and how it falls with the position.
#pragma once

#include "model/network.h"
#include "train/run_config.h"

#include <functional>
#include <optional>

namespace ingrain::train {

/// What a validation file's loss is, learning on and off.
struct ValidationReport {
  std::string name;
  double loss_on = 0, loss_off = 0;  // mean over counted tokens
  std::vector<int64_t> position_P;   // where each of at most eight equal parts begins
  std::vector<double> loss_on_P, loss_off_P;
  int64_t tokens = 0;
};

/// The files of [validation], each read from its beginning in `sequences` separate sequences of `length` tokens
/// (fewer if the file is shorter). nullopt if `keep_going` said stop. Error if a file is too short for one.
std::optional<std::vector<ValidationReport>> validate_files(const Network& model, const RunConfig& run,
                                                            const std::function<bool()>& keep_going);

}  // namespace ingrain::train
