// Tasks that come in any length: what is asked for lies in a haystack of which there is more or less.
#pragma once

#include "data/random.h"
#include "tasks/book.h"
#include "tasks/task.h"

namespace ingrain::tasks {

struct SizedTask {
  std::string name;
  int64_t answer_tokens;  // that a model may write
  int64_t least;          // of `size`
  /// A task of so much haystack: sentences, needles or words, as the task has it. `length` is what it is made for
  /// (tokens).
  std::function<Task(const Book& book, int64_t size, int64_t length, data::SplitMix64& random)> make;
};

/// The task with the largest haystack whose length, answer included, is at most `length`: by bisection. The same seed
/// gives the same task. Error if not even the least fits.
Task fit(const SizedTask& task, const Book& book, int64_t length, uint64_t seed, const CountTokens& count);

/// The one of that name; UsageError, with a suggestion, if there is none.
const SizedTask& find_task(const std::vector<SizedTask>& tasks, std::string_view name);

}  // namespace ingrain::tasks
