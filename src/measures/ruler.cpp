#include "measures/ruler.h"

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

void each_ruler_task(const Model& model, const tasks::Book& book, const RulerOptions& o,
                     const std::function<void(const tasks::RulerTask&, int64_t length, const tasks::Task&)>& visit) {
  std::vector<const tasks::RulerTask*> chosen;
  for (const std::string& name : o.tasks) chosen.push_back(&tasks::ruler_task(name));
  if (chosen.empty())
    for (const tasks::RulerTask& task : tasks::ruler_tasks()) chosen.push_back(&task);
  const auto count = [&](std::string_view text) { return static_cast<int64_t>(model.encode_document(text).size()); };
  for (const tasks::RulerTask* task : chosen)
    for (const int64_t length : o.lengths)
      for (int64_t i = 0; i < o.samples; ++i)
        visit(*task, length, fit_ruler(*task, book, length, o.seed + static_cast<uint64_t>(i), count));
}

std::vector<RulerRow> ruler(const Model& model, const tasks::Book& book, const RulerOptions& o) {
  const int64_t tasks = static_cast<int64_t>(o.tasks.empty() ? tasks::ruler_tasks().size() : o.tasks.size());
  const int64_t of = tasks * static_cast<int64_t>(o.lengths.size()) * o.samples;
  std::vector<RulerRow> out;
  std::vector<double> scores;
  int64_t done = 0;
  each_ruler_task(model, book, o, [&](const tasks::RulerTask& task, int64_t length, const tasks::Task& made) {
    scores.push_back(answered(model, made, task.answer_tokens, o.learn));
    if (o.progress) o.progress(++done, of);
    if (static_cast<int64_t>(scores.size()) < o.samples) return;
    out.push_back({task.name, length, mean_interval(scores)});
    scores.clear();
  });
  return out;
}

}  // namespace ingrain::measures
