#include "tasks/sized.h"

#include "base/error.h"
#include "base/text.h"

#include <algorithm>
#include <optional>

namespace ingrain::tasks {

const SizedTask& find_task(const std::vector<SizedTask>& tasks, std::string_view name) {
  std::vector<std::string> names;
  for (const SizedTask& task : tasks) {
    if (task.name == name) return task;
    names.push_back(task.name);
  }
  fail_usage("there is no task '{}'{}; there are: {}", printable(name), did_you_mean(name, names),
             fmt::join(names, ", "));
}

Task fit(const SizedTask& task, const Book& book, int64_t length, uint64_t seed, const CountTokens& count) {
  const auto fitting = [&](int64_t size) -> std::optional<Task> {
    data::SplitMix64 random(seed);
    Task out = task.make(book, size, length, random);
    if (count(out.prompt + out.answer_prefix) + task.answer_tokens > length) return std::nullopt;
    return out;
  };
  std::optional<Task> best = fitting(task.least);
  require(best.has_value(), "{}: not even its smallest haystack fits {} tokens; ask for more", task.name, length);
  // A unit of haystack is a token at least.
  int64_t fits = task.least, fails = std::max(length, task.least) + 1;
  while (fits + 1 < fails) {
    const int64_t middle = fits + (fails - fits) / 2;
    if (auto found = fitting(middle))
      best = std::move(found), fits = middle;
    else
      fails = middle;
  }
  return *best;
}

}  // namespace ingrain::tasks
