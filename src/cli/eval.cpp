#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/ranges.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/mean_text.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/encoding.h"
#include "data/tokens.h"
#include "ingrain/reader.h"
#include "ingrain/score.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>

namespace ingrain::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;
constexpr int64_t kFirstBin = 256;

struct EvalOptions {
  ModelOptions model;
  std::string text, tokens, token_type = "u16", learning = "both";
  int64_t limit = 0, at_once = 0;
  bool as_json = false, per_token = false;
};

struct Run {
  std::string learning;  // "on" or "off"
  Score score;
  double seconds;
};

std::vector<int32_t> load_document(const EvalOptions& o, const Model& model) {
  std::vector<int32_t> tokens;
  if (!o.tokens.empty()) {
    tokens = data::read_raw_tokens(o.tokens, data::token_type_from_name(o.token_type));
  } else {
    const std::string text = read_file(o.text, kMaxTextBytes);
    data::require_text(text, o.text);
    require(!text.empty(), "{}: empty; there is nothing to score", o.text);
    tokens = model.encode_document(text, /*parse_special=*/true);
    if (model.begin_of_text() && tokens.size() > 1) warn_of_double_bos(model, tokens[1]);
  }
  if (o.limit > 0 && tokens.size() > static_cast<size_t>(o.limit)) tokens.resize(static_cast<size_t>(o.limit));
  require(tokens.size() >= 2, "the document has {} token(s); at least two are needed to score a prediction",
          tokens.size());
  return tokens;
}

Run run(const EvalOptions& o, const Model& model, const std::vector<int32_t>& tokens, const std::string& learning) {
  Progress progress("reading, learning " + learning, tokens.size(), "tokens");
  std::vector<float> nll;
  const auto keep_going = [&](int64_t done) {
    progress.update(nll.size() + static_cast<uint64_t>(done));
    return !interrupted();
  };
  Memory memory(model);
  Reader reader(memory, {.learn = learning == "on", .keep_going = keep_going});
  const size_t step = o.at_once > 0 ? static_cast<size_t>(o.at_once) : tokens.size();
  const auto start = std::chrono::steady_clock::now();
  for (bool stopped = false; !stopped && nll.size() < tokens.size();) {
    const Reading reading =
        reader.read(std::span(tokens).subspan(nll.size(), std::min(step, tokens.size() - nll.size())));
    nll.insert(nll.end(), reading.nll.begin(), reading.nll.end());
    stopped = reading.stopped || (nll.size() < tokens.size() && !keep_going(0));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (nll.size() < tokens.size())
    throw Stopped(fmt::format("{}: stopped after {} of {} tokens", o.model.folder, nll.size(), tokens.size()));
  return {learning, score(model, tokens, std::move(nll), 1), seconds};
}

json number_or_null(float x) { return std::isnan(x) ? json(nullptr) : json(x); }

void print_json(const EvalOptions& o, const std::vector<Run>& runs, size_t tokens) {
  json root{{"model", o.model.folder}, {"document", o.text.empty() ? o.tokens : o.text}, {"tokens", tokens}};
  for (const auto& [learning, score, seconds] : runs) {
    json entry{{"scored", score.scored},
               {"mean_nll", score.mean_nll},  // a NaN, the mean of nothing, is written as null
               {"seconds", seconds}};
    if (score.bits_per_byte) entry["bits_per_byte"] = *score.bits_per_byte;
    for (const auto& bin : doubling_bins(score.nll, kFirstBin))
      entry["by_position"].push_back({{"begin", bin.begin}, {"end", bin.end}, {"mean_nll", bin.mean_nll}});
    if (o.per_token)
      for (const float x : score.nll) entry["nll"].push_back(number_or_null(x));
    root["learning_" + learning] = std::move(entry);
  }
  std::printf("%s\n", root.dump(2).c_str());
}

void print_table(const std::vector<Run>& runs) {
  std::printf("%-20s", "position");
  for (const Run& r : runs) std::printf("  %13s", ("learning " + r.learning).c_str());
  std::printf("%s\n", runs.size() == 2 ? "     gain" : "");
  std::vector<std::vector<PositionBin>> bins;
  for (const Run& r : runs) bins.push_back(doubling_bins(r.score.nll, kFirstBin));
  for (size_t row = 0; row < bins[0].size(); ++row) {
    const auto& first = bins[0][row];
    std::printf("%9s - %-8s", with_commas(first.begin).c_str(), with_commas(first.end).c_str());
    for (const auto& column : bins) std::printf("  %13s", mean_text(column[row].mean_nll).c_str());
    if (bins.size() == 2) std::printf("  %7s", mean_text(bins[1][row].mean_nll - first.mean_nll).c_str());
    std::printf("\n");
  }
  const auto line = [&](const char* label, auto value) {
    std::printf("%-20s", label);
    for (const Run& r : runs) std::printf("  %13s", mean_text(value(r.score)).c_str());
    if (runs.size() == 2) std::printf("  %7s", mean_text(value(runs[1].score) - value(runs[0].score)).c_str());
    std::printf("\n");
  };
  line("mean, nats a token", [](const Score& s) { return s.mean_nll; });
  if (runs[0].score.bits_per_byte) line("bits a byte", [](const Score& s) { return s.bits_per_byte.value_or(0); });
  for (const auto& [learning, score, seconds] : runs)
    std::printf("learning %s: %s scored in %s (%.0f tokens/s)\n", learning.c_str(),
                counted(score.scored, "token").c_str(), format_duration(seconds).c_str(),
                static_cast<double>(score.scored) / seconds);
}

void evaluate(const EvalOptions& o) {
  if (o.text.empty() == o.tokens.empty()) fail_usage("eval needs a text file or --tokens FILE, and not both");
  watch_interrupts("nothing is kept");
  ModelOptions named = o.model;
  named.how.need_tokenizer = o.tokens.empty();
  const Model model = named.open();
  const std::vector<int32_t> tokens = load_document(o, model);
  std::vector<Run> runs;
  for (const char* learning : {"on", "off"})
    if (o.learning == learning || o.learning == "both") runs.push_back(run(o, model, tokens, learning));
  if (o.as_json)
    print_json(o, runs, tokens.size());
  else
    print_table(runs);
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto* command =
      app.add_subcommand("eval", "Score a document: loss per token, by position, with and without learning");
  auto o = std::make_shared<EvalOptions>();
  o->model.add_to(*command);
  command->add_option("TEXT", o->text, "A text file");
  command->add_option("--tokens", o->tokens, "A file of token ids instead of text (NumPy's tofile)");
  command->add_option("--token-type", o->token_type, "u16 or u32: what --tokens holds")->capture_default_str();
  command->add_option("--learning", o->learning, "Whether the model learns while it reads")
      ->check(one_of({"on", "off", "both"}))
      ->capture_default_str();
  add_whole(*command, "--limit", o->limit, "Read only the first N tokens", 1);
  add_whole(*command, "--at-once", o->at_once,
            "Tokens a call: 1 computes as writing does, by its kernels (slow); otherwise all", 1);
  command->add_flag("--json", o->as_json, "Print JSON");
  command->add_flag("--per-token", o->per_token, "With --json: also the loss of every token (null where not scored)");
  command->footer("Example: ingrain eval models/reader-17m examples/data/emma.txt --limit 8192");
  command->callback([o] { evaluate(*o); });
}

}  // namespace ingrain::cli
