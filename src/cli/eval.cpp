#include "cli/commands.h"
#include "cli/eval_measures.h"
#include "cli/model_options.h"
#include "cli/paths.h"
#include "cli/ranges.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/mean_text.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/tokens.h"
#include "measures/json.h"
#include "measures/loss.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace ingrain::cli {
namespace {

using nlohmann::json;

struct EvalOptions {
  ModelOptions model;
  std::vector<std::string> texts;
  std::string tokens, token_type = "u16", learning = "both", beside;
  int64_t limit = 0, least = 2, at_once = 0;
  bool as_json = false, per_token = false;
  MeasureOptions measure;
};

/// A model in one way of reading, over all documents.
struct Run {
  std::string model, learning;  // "on" or "off"
  std::vector<measures::DocumentLoss> documents;
  std::vector<float> nll;  // of the last document
  int64_t scored = 0;
  double mean_nll = 0, seconds = 0;
  std::optional<double> bits_per_byte = {};

  std::string title() const { return "learning " + learning; }
};

std::vector<measures::Document> load_documents(const EvalOptions& o, const Model& model) {
  std::vector<measures::Document> out;
  if (o.tokens.empty()) {
    out = measures::load_documents(model, {o.texts.begin(), o.texts.end()}, o.limit, o.least);
    if (model.begin_of_text() && out[0].tokens.size() > 1) warn_of_double_bos(model, out[0].tokens[1]);
  } else {
    out.push_back({o.tokens, data::read_raw_tokens(o.tokens, data::token_type_from_name(o.token_type))});
    if (o.limit > 0 && out[0].tokens.size() > static_cast<size_t>(o.limit))
      out[0].tokens.resize(static_cast<size_t>(o.limit));
  }
  for (const measures::Document& d : out)
    require(d.tokens.size() >= 2, "the document has {} token(s); at least two are needed to score a prediction",
            d.tokens.size());
  return out;
}

Run run(const EvalOptions& o, const std::string& name, const Model& model,
        const std::vector<measures::Document>& documents, const std::string& learning) {
  uint64_t all = 0, before = 0;
  for (const measures::Document& d : documents) all += d.tokens.size();
  Progress progress("reading, learning " + learning, all, "tokens");
  Run out{.model = name, .learning = learning, .documents = {}, .nll = {}, .scored = 0};
  double sum = 0, bits = 0, bytes = 0;
  const auto start = std::chrono::steady_clock::now();
  for (const measures::Document& d : documents) {
    const auto keep_going = [&](int64_t done) {
      progress.update(before + static_cast<uint64_t>(done));
      return !interrupted();
    };
    const Score score = measures::score_document(
        model, d.tokens, {.learn = learning == "on", .at_once = o.at_once, .keep_going = keep_going});
    before += d.tokens.size();
    out.documents.push_back(measures::summary_of(d.name, score));
    const double finite = static_cast<double>(score.scored - score.not_finite);
    if (finite > 0) sum += score.mean_nll * finite;
    out.scored += score.scored;
    if (score.bits_per_byte && *score.bits_per_byte > 0) {
      bits += score.mean_nll * finite / std::numbers::ln2;
      bytes += score.mean_nll * finite / std::numbers::ln2 / *score.bits_per_byte;
    }
    out.mean_nll = documents.size() == 1 ? score.mean_nll : sum / static_cast<double>(out.scored);
    out.bits_per_byte = documents.size() == 1 ? score.bits_per_byte : std::optional<double>();
    out.nll = score.nll;
  }
  if (documents.size() > 1 && bytes > 0) out.bits_per_byte = bits / bytes;
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

json number_or_null(float x) { return std::isnan(x) ? json(nullptr) : json(x); }

json to_json(const EvalOptions& o, const Run& run) {
  json out{{"scored", run.scored},
           {"mean_nll", run.mean_nll},  // a NaN, the mean of nothing, is written as null
           {"seconds", run.seconds},
           {"by_position", measures::to_json(measures::over_documents(run.documents))}};
  if (run.bits_per_byte) out["bits_per_byte"] = *run.bits_per_byte;
  if (run.documents.size() > 1) out["documents"] = measures::to_json(run.documents);
  if (o.per_token)
    for (const float x : run.nll) out["nll"].push_back(number_or_null(x));
  return out;
}

void print_json(const EvalOptions& o, const std::vector<Run>& runs, const std::vector<measures::Document>& documents) {
  json root{{"model", o.model.folder}};
  if (documents.size() == 1) {
    root["document"] = documents[0].name;
    root["tokens"] = documents[0].tokens.size();
  } else {
    root["documents"] = documents.size();
  }
  for (const Run& run : runs) {
    json& place = run.model == o.model.folder ? root : root["beside"];
    if (&place != &root) place["model"] = run.model;
    place["learning_" + run.learning] = to_json(o, run);
  }
  std::printf("%s\n", root.dump(2).c_str());
}

/// Of one model: its ways of reading, side by side.
void print_table(const std::vector<Run>& runs) {
  using measures::LossBin;
  std::printf("%-20s", "position");
  for (const Run& r : runs) std::printf("  %13s", r.title().c_str());
  std::printf("%s\n", runs.size() == 2 ? "     gain" : "");
  std::vector<std::vector<LossBin>> bins;
  for (const Run& r : runs) bins.push_back(measures::over_documents(r.documents));
  if (runs.size() == 2) bins.push_back(measures::paired_difference(runs[1].documents, runs[0].documents));
  for (size_t row = 0; row < bins[0].size(); ++row) {
    const auto& first = bins[0][row];
    std::printf("%9s - %-8s", with_commas(first.begin).c_str(), with_commas(first.end).c_str());
    for (size_t i = 0; i < runs.size(); ++i) std::printf("  %13s", mean_text(bins[i][row].loss.mean).c_str());
    if (runs.size() == 2) {
      const MeanInterval& gain = bins[2][row].loss;
      std::printf("  %7s", mean_text(gain.mean).c_str());
      if (std::isfinite(gain.half)) std::printf(" +- %.4f", gain.half);
    }
    std::printf("\n");
  }
  const auto line = [&](const char* label, auto value) {
    std::printf("%-20s", label);
    for (const Run& r : runs) std::printf("  %13s", mean_text(value(r)).c_str());
    if (runs.size() == 2) std::printf("  %7s", mean_text(value(runs[1]) - value(runs[0])).c_str());
    std::printf("\n");
  };
  line("mean, nats a token", [](const Run& r) { return r.mean_nll; });
  if (runs[0].bits_per_byte) line("bits a byte", [](const Run& r) { return r.bits_per_byte.value_or(0); });
  if (runs[0].documents.size() > 1)
    std::printf("means over %s; +- is the 95 %% interval of the gain over documents\n",
                counted(static_cast<int64_t>(runs[0].documents.size()), "document").c_str());
  for (const Run& r : runs)
    std::printf("learning %s: %s scored in %s (%.0f tokens/s)\n", r.learning.c_str(),
                counted(r.scored, "token").c_str(), format_duration(r.seconds).c_str(),
                static_cast<double>(r.scored) / r.seconds);
}

/// Recall, RULER, latency: of a book.
void measure(const EvalOptions& o) {
  if (o.texts.size() > 1 || !o.tokens.empty()) fail_usage("--measure {} takes one text file", o.measure.name);
  if (!o.beside.empty()) fail_usage("--beside compares losses; measure the other model by itself");
  watch_interrupts("nothing is kept");
  const std::string book = o.texts.empty() ? (project_folder() / "examples/data/emma.txt").string() : o.texts[0];
  o.measure.run(o.model, book, o.learning, o.as_json);
}

void evaluate(const EvalOptions& o) {
  if (o.measure.name != "loss") return measure(o);
  if (o.texts.empty() == o.tokens.empty()) fail_usage("eval needs a text file or --tokens FILE, and not both");
  if (o.per_token && o.texts.size() > 1) fail_usage("--per-token is for one document");
  watch_interrupts("nothing is kept");
  std::vector<std::string> names{o.model.folder};
  if (!o.beside.empty()) names.push_back(o.beside);
  std::vector<Run> runs;
  std::vector<measures::Document> documents;
  for (const std::string& name : names) {
    ModelOptions named = o.model;
    named.folder = name;
    named.how.need_tokenizer = o.tokens.empty();
    const Model model = named.open();
    documents = load_documents(o, model);
    for (const char* learning : {"on", "off"})
      if (o.learning == learning || o.learning == "both") runs.push_back(run(o, name, model, documents, learning));
  }
  if (o.as_json) return print_json(o, runs, documents);
  const size_t each = runs.size() / names.size();
  for (size_t i = 0; i < names.size(); ++i) {
    if (names.size() > 1) std::printf("%s%s\n", i > 0 ? "\n" : "", names[i].c_str());
    print_table({runs.begin() + static_cast<std::ptrdiff_t>(i * each),
                 runs.begin() + static_cast<std::ptrdiff_t>((i + 1) * each)});
  }
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto* command =
      app.add_subcommand("eval", "Measure a model: loss by position with and without learning, recall, RULER, latency");
  auto o = std::make_shared<EvalOptions>();
  o->model.add_to(*command);
  command->add_option("TEXT", o->texts, "Text files, or folders of them: each is a document, read from its start");
  command->add_option("--beside", o->beside,
                      "Another model that reads the same: with one that was trained without meta-learning, the 2 x 2");
  command->add_option("--tokens", o->tokens, "A file of token ids instead of text (NumPy's tofile)");
  command->add_option("--token-type", o->token_type, "u16 or u32: what --tokens holds")->capture_default_str();
  command->add_option("--learning", o->learning, "Whether the model learns while it reads")
      ->check(one_of({"on", "off", "both"}))
      ->capture_default_str();
  add_whole(*command, "--limit", o->limit, "Read only the first N tokens of a document", 1);
  add_whole(*command, "--least", o->least, "Leave out documents of fewer tokens", 2)->capture_default_str();
  add_whole(*command, "--at-once", o->at_once,
            "Tokens a call: 1 computes as writing does, by its kernels (slow); otherwise all", 1);
  o->measure.add_to(*command);
  command->add_flag("--json", o->as_json, "Print JSON");
  command->add_flag("--per-token", o->per_token, "With --json: also the loss of every token (null where not scored)");
  command->footer(
      "Examples:\n"
      "  ingrain eval models/reader-17m examples/data/emma.txt --limit 8192\n"
      "  ingrain eval MODEL held-out/ --beside OTHER --limit 16384 --least 16384\n"
      "  ingrain eval models/reader-17m --measure recall --facts 40 --windows 0,1,4,16\n"
      "  ingrain eval models/reader-17m --measure ruler --tasks niah_single_1,vt --lengths 1024,4096\n"
      "docs/study.md says what is measured, and how.");
  command->callback([o] { evaluate(*o); });
}

}  // namespace ingrain::cli
