#include "cli/eval_measures.h"

#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/mean_text.h"
#include "base/progress.h"
#include "base/text.h"
#include "bench/latency.h"
#include "cli/ranges.h"
#include "data/encoding.h"
#include "measures/json.h"
#include "tasks/babi/babi.h"
#include "tasks/ruler/ruler.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {
namespace {

using nlohmann::json;

constexpr int64_t kMostLength = int64_t{1} << 30;

std::string book_text(const std::string& path) {
  std::string text = read_file(path, uint64_t{1} << 28);
  data::require_text(text, path);
  return text;
}

json recall(const MeasureOptions& o, const Model& model, const tasks::Book& book, bool learn) {
  Progress progress("asking", 0, "questions");
  const auto rows = measures::recall_by_age(
      model, book,
      {.facts = o.facts,
       .seed = o.seed,
       .window = o.window,
       .windows = o.windows,
       .learn = learn,
       .progress = [&](int64_t done, int64_t) { progress.update(static_cast<uint64_t>(done)); }});
  return measures::to_json(rows);
}

const std::vector<tasks::SizedTask>& tasks_of(const std::string& measure) {
  return measure == "ruler" ? tasks::ruler_tasks() : tasks::babi_tasks();
}

json asked(const MeasureOptions& o, const Model& model, const tasks::Book& book, bool learn) {
  Progress progress("asking", 0, "samples");
  return measures::to_json(
      measures::ask(model, tasks_of(o.name), book,
                    {.tasks = o.tasks,
                     .lengths = o.lengths,
                     .samples = o.samples,
                     .seed = o.seed,
                     .learn = learn,
                     .progress = [&](int64_t done, int64_t) { progress.update(static_cast<uint64_t>(done)); }}));
}

/// What recall or RULER asks, for other programs.
void print_tasks(const MeasureOptions& o, const Model& model, const tasks::Book& book) {
  const auto line = [](const json& one) {
    std::printf("%s\n", one.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  };
  if (o.name == "recall") {
    for (const tasks::Fact& f : tasks::make_facts(o.facts, o.seed, measures::every_telling()))
      line({{"kind", f.kind},
            {"told", tasks::told_name(f.told)},
            {"question", f.question},
            {"cloze", f.cloze},
            {"value", f.value},
            {"old_value", f.old_value},
            {"others", f.others},
            {"first", f.first},
            {"second", f.second}});
    return;
  }
  measures::each_sample(model, tasks_of(o.name), book,
                        {.tasks = o.tasks, .lengths = o.lengths, .samples = o.samples, .seed = o.seed},
                        [&](const tasks::SizedTask& of, int64_t length, const tasks::Task& task) {
                          line({{"task", of.name},
                                {"length", length},
                                {"answer_tokens", of.answer_tokens},
                                {"prompt", task.prompt},
                                {"answer_prefix", task.answer_prefix},
                                {"answers", task.answers}});
                        });
}

json latency(const MeasureOptions& o, const Model& model, const std::string& text, bool learn) {
  const std::vector<int32_t> tokens = model.encode_document(text);
  json out = json::array();
  for (const bench::Latency& row :
       bench::measure_latency(model, tokens, {.contexts = o.lengths, .tokens = o.write, .learn = learn}))
    out.push_back({{"context", row.context},
                   {"prefill_seconds", row.prefill_seconds},
                   {"decode_ms", row.decode_ms},
                   {"decode_ms_low", row.decode_low},
                   {"decode_ms_high", row.decode_high},
                   {"memory_bytes", row.memory_bytes},
                   {"peak_bytes", row.peak_bytes}});
  stop_if_interrupted("stopped; nothing was kept");
  return out;
}

double number(const json& row, const char* name) { return row[name].is_number() ? row[name].get<double>() : NAN; }

void print_row(const std::string& measure, const json& row) {
  if (measure == "recall") {
    const int64_t window_share = row["context"];
    std::printf("%-8s %7ld  %9s  %4ld/%-4ld  %4ld/%-4ld  %8s  %8s\n", row["told"].get<std::string>().c_str(),
                row["windows"].get<long>(), with_commas(window_share).c_str(), row["exact"].get<long>(),
                row["asked"].get<long>(), row["first"].get<long>(), row["asked"].get<long>(),
                mean_text(number(row, "log_p"), 2).c_str(), mean_text(number(row, "log_p_others"), 2).c_str());
  } else if (measure != "latency") {
    std::printf("%-18s %9s  %6s +- %s\n", row["task"].get<std::string>().c_str(),
                with_commas(row["length"].get<int64_t>()).c_str(), mean_text(number(row, "score"), 3).c_str(),
                mean_text(number(row, "interval"), 3).c_str());
  } else {
    std::printf("%9s  %11.3f  %12.3f  %10s  %10s\n", with_commas(row["context"].get<int64_t>()).c_str(),
                number(row, "prefill_seconds"), number(row, "decode_ms"),
                format_bytes(row["memory_bytes"].get<uint64_t>()).c_str(),
                format_bytes(row["peak_bytes"].get<uint64_t>()).c_str());
  }
}

const char* head_of(const std::string& measure) {
  if (measure == "recall") return "told     windows    context      exact      first     log p    others";
  if (measure != "latency") return "task                  length   score";
  return "  context    prefill, s  ms a token      memory        peak";
}

}  // namespace

void MeasureOptions::add_to(CLI::App& command) {
  command
      .add_option("--measure", name,
                  "loss; recall: facts told in a book (TEXT, or Emma), asked so many windows later; ruler: 11 tasks of "
                  "RULER in that book; babi: stories in it; latency: reading and writing by length of context")
      ->check(one_of({"loss", "recall", "ruler", "babi", "latency"}))
      ->capture_default_str();
  add_whole(command, "--facts", facts, "recall: how many", 1, 10000)->capture_default_str();
  add_whole(command, "--windows", windows, "recall: distances, separated by commas", 0, 1 << 20)
      ->delimiter(',')
      ->capture_default_str();
  add_whole(command, "--window", window, "recall: tokens of one (default: the model's own)", 1, kMostLength);
  command.add_option("--tasks", tasks, "ruler, babi: these alone, separated by commas")->delimiter(',');
  add_whole(command, "--lengths", lengths, "ruler, babi, latency: tokens, separated by commas", 1, kMostLength)
      ->delimiter(',')
      ->capture_default_str();
  add_whole(command, "--samples", samples, "ruler, babi: of each task and length", 1, 10000)->capture_default_str();
  add_whole(command, "--write", write, "latency: tokens written after each length", 1, 1 << 20)->capture_default_str();
  command.add_flag("--print-tasks", print,
                   "recall, ruler, babi: print what would be asked, a line of JSON each, and ask nothing");
  add_whole(command, "--seed", seed, "recall, ruler, babi: of what is made up", 0)->capture_default_str();
}

void MeasureOptions::run(const ModelOptions& options, const std::string& path, const std::string& learning,
                         bool as_json) const {
  const Model model = options.open();
  const std::string text = book_text(path);
  json root{{"model", options.folder}, {"measure", name}, {"book", path}};
  std::optional<tasks::Book> book;
  if (name != "latency") book.emplace(text, path);
  if (print) {
    if (!book) fail_usage("--print-tasks: --measure latency asks nothing");
    return print_tasks(*this, model, *book);
  }
  for (const bool learn : {true, false}) {
    if (learning != "both" && (learning == "on") != learn) continue;
    if (learn && !model.learns() && learning == "both") continue;  // it would be measured twice
    json rows;
    if (name == "recall")
      rows = recall(*this, model, *book, learn);
    else if (name != "latency")
      rows = asked(*this, model, *book, learn);
    else
      rows = latency(*this, model, text, learn);
    if (!as_json) {
      std::printf("learning %s\n%s\n", learn ? "on" : "off", head_of(name));
      for (const json& row : rows) print_row(name, row);
    }
    root[learn ? "learning_on" : "learning_off"] = std::move(rows);
  }
  if (name == "recall") root["window"] = measures::window_of(model, window);
  if (as_json) std::printf("%s\n", root.dump(2).c_str());
}

}  // namespace ingrain::cli
