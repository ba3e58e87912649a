// MQAR (tasks/mqar.h) as a rival's layers learn it from scratch.
#pragma once

#include "tasks/mqar.h"
#include "train/run_config.h"

namespace ingrain::study {

struct MqarTraining {
  tasks::MqarOptions task;
  int64_t steps = 200, batch = 32;  // sequences
  double lr = 3e-3;
  int64_t layers = 2;
  int64_t examples = 128;  // that the accuracy is of
  uint64_t seed = 1;
};

struct MqarResult {
  double accuracy = 0;  // of all queries' values: the likeliest token is the right one
  int64_t queries = 0;
  double loss = 0;  // of the last step
};

/// A model of the rival's kind with so many of its last layers, trained in its mode on examples that it sees once, then
/// asked about others, reading as it is meant to. Stopped at an interrupt (base/interrupt.h).
MqarResult learn_mqar(const train::RunConfig& rival, const MqarTraining& options);

}  // namespace ingrain::study
