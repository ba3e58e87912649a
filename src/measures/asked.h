// Tasks of any length (RULER, stories in a book): what a model still finds in long texts.
#pragma once

#include "base/interval.h"
#include "ingrain/model.h"
#include "tasks/sized.h"

#include <functional>

namespace ingrain::measures {

struct AskOptions {
  std::vector<std::string> tasks;  // names; empty: all there are
  std::vector<int64_t> lengths = {1024, 4096};
  int64_t samples = 20;
  uint64_t seed = 1;
  bool learn = true;
  std::function<void(int64_t done, int64_t of)> progress = {};  // samples
};

struct AskedRow {
  std::string task;
  int64_t length;
  MeanInterval score;  // over samples, 0 to 1
};

/// Calls `visit` with every sample of the chosen `tasks` that ask() asks, in its order.
void each_sample(const Model& model, const std::vector<tasks::SizedTask>& tasks, const tasks::Book& book,
                 const AskOptions& options,
                 const std::function<void(const tasks::SizedTask&, int64_t length, const tasks::Task&)>& visit);

/// Every sample is read by an empty memory and answered greedily, in as many tokens as the task allows. Stopped at an
/// interrupt (base/interrupt.h). UsageError for an unknown task; Error for a length that a task does not fit.
std::vector<AskedRow> ask(const Model& model, const std::vector<tasks::SizedTask>& tasks, const tasks::Book& book,
                          const AskOptions& options);

/// How much of the task's answers a greedy answer contains.
double answered(const Model& model, const tasks::Task& task, int64_t answer_tokens, bool learn);

}  // namespace ingrain::measures
