// RULER (tasks/ruler): what a model still finds in long texts.
#pragma once

#include "base/interval.h"
#include "ingrain/model.h"
#include "tasks/ruler/ruler.h"

#include <functional>

namespace ingrain::measures {

struct RulerOptions {
  std::vector<std::string> tasks;  // empty: all
  std::vector<int64_t> lengths = {1024, 4096};
  int64_t samples = 20;
  uint64_t seed = 1;
  bool learn = true;
  std::function<void(int64_t done, int64_t of)> progress = {};  // samples
};

struct RulerRow {
  std::string task;
  int64_t length;
  MeanInterval score;  // over samples, 0 to 1
};

/// Calls `visit` with every sample that ruler() asks, in its order.
void each_ruler_task(const Model& model, const tasks::Book& book, const RulerOptions& options,
                     const std::function<void(const tasks::RulerTask&, int64_t length, const tasks::Task&)>& visit);

/// Every sample is read by an empty memory and answered greedily, in as many tokens as the task allows. Stopped at an
/// interrupt (base/interrupt.h). UsageError for an unknown task; Error for a length that a task does not fit.
std::vector<RulerRow> ruler(const Model& model, const tasks::Book& book, const RulerOptions& options);

/// How much of `answers` a greedy answer contains. What RULER and its kin have in common.
double answered(const Model& model, const tasks::Task& task, int64_t answer_tokens, bool learn);

}  // namespace ingrain::measures
