// Recall by age: facts told in a book, asked for so many windows later.
#pragma once

#include "ingrain/model.h"
#include "tasks/facts.h"

#include <functional>

namespace ingrain::measures {

struct RecallOptions {
  int64_t facts = 200;
  uint64_t seed = 1;
  int64_t window = 0;  // tokens; 0: the model's own, or its chunk if that sees all
  std::vector<int64_t> windows = {0, 1, 2, 4, 8, 16, 32, 64};  // after the last fact
  bool learn = true;
  std::function<void(int64_t done, int64_t of)> progress = {};  // questions
};

/// All facts of one kind of telling, asked at one distance.
struct RecallRow {
  tasks::Told told;
  int64_t windows;
  int64_t context;  // tokens read when they are asked
  int64_t asked = 0;
  int64_t exact = 0;        // the greedy continuation begins with the value
  int64_t first = 0;        // of the value and nine others, the value is the likeliest
  int64_t old_first = 0;    // of an updated one: the old value is
  double log_p = 0;         // mean log-probability of the value, nats
  double log_p_others = 0;  // of the nine
};

/// Each fact is asked for by the beginning of its sentence, of a copy of the memory. Stopped at an interrupt
/// (base/interrupt.h). Error if the book is too short to hide the facts in.
std::vector<RecallRow> recall_by_age(const Model& model, const tasks::Book& book, const RecallOptions& options);

/// How its facts are told, in turn.
std::vector<tasks::Told> every_telling();

/// Tokens that count as a window of this model.
int64_t window_of(const Model& model, int64_t asked);

}  // namespace ingrain::measures
