#include "measures/asked.h"

#include "base/interrupt.h"
#include "ingrain/generate.h"
#include "ingrain/reader.h"

namespace ingrain::measures {

double answered(const Model& model, const tasks::Task& task, int64_t answer_tokens, bool learn) {
  Memory memory(model);
  const std::vector<int32_t> tokens = model.encode_document(task.prompt + task.answer_prefix);
  Reader(memory, {.learn = learn, .keep_going = [](int64_t) { return !interrupted(); }}).read(tokens);
  stop_if_interrupted("stopped; nothing was kept");
  GenerateOptions greedy;
  greedy.sampling.temperature = 0;
  greedy.max_tokens = answer_tokens;
  greedy.learn = learn ? Learn::all : Learn::off;
  return tasks::contained(generate(memory, greedy).text, task.answers);
}

void each_sample(const Model& model, const std::vector<tasks::SizedTask>& tasks, const tasks::Book& book,
                 const AskOptions& o,
                 const std::function<void(const tasks::SizedTask&, int64_t length, const tasks::Task&)>& visit) {
  std::vector<const tasks::SizedTask*> chosen;
  for (const std::string& name : o.tasks) chosen.push_back(&find_task(tasks, name));
  if (chosen.empty())
    for (const tasks::SizedTask& task : tasks) chosen.push_back(&task);
  const auto count = [&](std::string_view text) { return static_cast<int64_t>(model.encode_document(text).size()); };
  for (const tasks::SizedTask* task : chosen)
    for (const int64_t length : o.lengths)
      for (int64_t i = 0; i < o.samples; ++i)
        visit(*task, length, fit(*task, book, length, o.seed + static_cast<uint64_t>(i), count));
}

std::vector<AskedRow> ask(const Model& model, const std::vector<tasks::SizedTask>& tasks, const tasks::Book& book,
                          const AskOptions& o) {
  const size_t chosen = o.tasks.empty() ? tasks.size() : o.tasks.size();
  const int64_t of = static_cast<int64_t>(chosen * o.lengths.size()) * o.samples;
  std::vector<AskedRow> out;
  std::vector<double> scores;
  int64_t done = 0;
  each_sample(model, tasks, book, o, [&](const tasks::SizedTask& task, int64_t length, const tasks::Task& made) {
    scores.push_back(answered(model, made, task.answer_tokens, o.learn));
    if (o.progress) o.progress(++done, of);
    if (static_cast<int64_t>(scores.size()) < o.samples) return;
    out.push_back({task.name, length, mean_interval(scores)});
    scores.clear();
  });
  return out;
}

}  // namespace ingrain::measures
