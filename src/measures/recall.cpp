#include "measures/recall.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "ingrain/generate.h"
#include "ingrain/reader.h"

#include <algorithm>
#include <numeric>

namespace ingrain::measures {
namespace {

using tasks::Fact;
using tasks::Told;

double log_probability(const Memory& after, std::span<const int32_t> tokens, bool learn) {
  Memory memory = after;
  const Reading reading = Reader(memory, {.learn = learn}).read(tokens);
  return -std::accumulate(reading.nll.begin(), reading.nll.end(), 0.0);
}

/// The book from paragraph `first` on, again from its beginning where it ends, in tokens as they are needed.
class Rest {
 public:
  Rest(const Model& model, const tasks::Book& book, size_t first) : model_(model), book_(book), next_(first) {}

  std::vector<int32_t> take(int64_t count) {
    while (static_cast<int64_t>(waiting_.size()) < count) {
      const auto& paragraphs = book_.paragraphs();
      const std::vector<int32_t> more = model_.encode(paragraphs[next_++ % paragraphs.size()] + "\n\n");
      waiting_.insert(waiting_.end(), more.begin(), more.end());
    }
    const auto end = waiting_.begin() + count;
    std::vector<int32_t> out(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    return out;
  }

 private:
  const Model& model_;
  const tasks::Book& book_;
  size_t next_;
  std::vector<int32_t> waiting_;
};

void ask_fact(const Memory& memory, const Fact& fact, const RecallOptions& o, RecallRow& row) {
  const Model& model = memory.model();
  Memory asked = memory;
  Reader(asked, {.learn = o.learn}).read(model.encode("\n\n" + fact.cloze));
  const auto likelihood = [&](const std::string& value) {
    return log_probability(asked, model.encode(" " + value + "."), o.learn);
  };
  const double own = likelihood(fact.value);
  bool first = true, old_first = !fact.old_value.empty();
  double others = 0, best = own, old = own;
  for (const std::string& other : fact.others) {
    const double p = likelihood(other);
    others += p / static_cast<double>(fact.others.size());
    best = std::max(best, p);
    if (other == fact.old_value) old = p;
  }
  first = own >= best;
  old_first = old_first && !first && old >= best;
  GenerateOptions greedy;
  greedy.sampling.temperature = 0;
  greedy.max_tokens = static_cast<int64_t>(model.encode(" " + fact.value).size()) + 2;
  greedy.learn = o.learn ? Learn::all : Learn::off;
  const std::string written = generate(asked, greedy).text;
  ++row.asked;
  row.exact += written.starts_with(" " + fact.value) || written.starts_with(fact.value) ? 1 : 0;
  row.first += first ? 1 : 0;
  row.old_first += old_first ? 1 : 0;
  row.log_p += own;
  row.log_p_others += others;
}

}  // namespace

std::vector<Told> every_telling() { return {Told::once, Told::updated, Told::deleted, Told::never}; }

int64_t window_of(const Model& model, int64_t asked) {
  return asked > 0 ? asked : model.window().value_or(model.chunk());
}

std::vector<RecallRow> recall_by_age(const Model& model, const tasks::Book& book, const RecallOptions& o) {
  const std::vector<Fact> facts = tasks::make_facts(o.facts, o.seed, every_telling());
  const int64_t window = window_of(model, o.window);
  size_t used = 0;
  const std::vector<int32_t> told = model.encode_document(tasks::hide(facts, book, used));
  Memory memory(model);
  const auto keep_going = [](int64_t) { return !interrupted(); };
  const auto read = [&](std::span<const int32_t> tokens) {
    Reader(memory, {.learn = o.learn, .keep_going = keep_going}).read(tokens);
    stop_if_interrupted("stopped; nothing was kept");
  };
  read(told);
  Rest rest(model, book, used);
  std::vector<int64_t> windows = o.windows;
  std::sort(windows.begin(), windows.end());
  std::vector<RecallRow> out;
  int64_t done = 0;
  for (const int64_t distance : windows) {
    const int64_t end = static_cast<int64_t>(told.size()) + distance * window;
    if (memory.position() < end) read(rest.take(end - memory.position()));
    const size_t first = out.size();
    for (const Told how : every_telling())
      out.push_back({.told = how, .windows = distance, .context = memory.position()});
    for (const Fact& fact : facts) {
      ask_fact(memory, fact, o, out[first + static_cast<size_t>(fact.told)]);
      stop_if_interrupted("stopped; nothing was kept");
      if (o.progress) o.progress(++done, o.facts * static_cast<int64_t>(windows.size()));
    }
  }
  std::erase_if(out, [](const RecallRow& row) { return row.asked == 0; });
  for (RecallRow& row : out) {
    row.log_p /= static_cast<double>(row.asked);
    row.log_p_others /= static_cast<double>(row.asked);
  }
  return out;
}

}  // namespace ingrain::measures
