// RULER's tasks that need no download (Hsieh et al., arXiv 2404.06654; definitions of NVIDIA/RULER). Lengths count the
// prompt, what begins the answer, and the answer. The haystack and the words come from a book of ours, not from the
// essays and word lists of the original, so figures compare models with each other and not with published ones.
#pragma once

#include "data/random.h"
#include "tasks/book.h"
#include "tasks/task.h"

namespace ingrain::tasks {

struct RulerTask {
  std::string name;
  int64_t answer_tokens;  // that a model may write
  int64_t least;          // of `size`
  /// A task of so much haystack: sentences, needles or words, as the task has it. `length` is what it is made for (tokens).
  std::function<Task(const Book& book, int64_t size, int64_t length, data::SplitMix64& random)> make;
};

/// niah_single_1 to 3, niah_multikey_1 to 3, niah_multivalue, niah_multiquery, vt, cwe, fwe.
const std::vector<RulerTask>& ruler_tasks();
const RulerTask& ruler_task(std::string_view name);

/// The task with the largest haystack whose length, answer included, is at most `length`: by bisection. The same seed
/// gives the same task. Error if not even the least fits.
Task fit_ruler(const RulerTask& task, const Book& book, int64_t length, uint64_t seed, const CountTokens& count);

// Of each family, for the list.
void add_needles(std::vector<RulerTask>& out);
void add_variables(std::vector<RulerTask>& out);
void add_words(std::vector<RulerTask>& out);

}  // namespace ingrain::tasks
