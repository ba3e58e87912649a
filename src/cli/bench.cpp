#include "bench/benchmarks.h"
#include "cli/commands.h"

#include "base/error.h"

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {
namespace {

/// What the three benchmarks share.
struct BenchCommand {
  std::string model, dtype = "auto", weights = "native", text, earlier;
  int threads = 0;
  bool as_json = false;
  bench::ReadOptions read;
  bench::DecodeOptions decode;
  bench::TrainOptions train;
};

template <class Run>
void measure(const BenchCommand& o, const char* benchmark, const Run& run) {
  if (o.threads > 0) at::set_num_threads(o.threads);
  const at::ScalarType compute = parse_compute_type(o.dtype);
  const bench::Subject subject = bench::load_subject(o.model, o.text, compute, o.weights == "q8_0");
  const std::string type = compute == at::kFloat ? "fp32" : compute == at::kBFloat16 ? "bf16" : "fp64";
  bench::Report report{benchmark, o.model, o.weights == "native" ? type : type + ", weights " + o.weights, {}, {}, {}};
  run(subject, report);
  bench::add_shares_of_peaks(report, compute);
  if (!o.earlier.empty()) bench::compare(report, o.earlier);
  std::fputs(o.as_json ? (bench::to_json(report).dump(2) + "\n").c_str() : bench::to_text(report).c_str(), stdout);
}

CLI::App* add_benchmark(CLI::App& bench, const std::shared_ptr<BenchCommand>& o, const char* name, const char* what) {
  auto* command = bench.add_subcommand(name, what);
  command->add_option("MODEL", o->model, "A model folder; a config.json or a preset's name: random weights of that shape")->required();
  command->add_option("--text", o->text, "A text file to read, repeated where it is too short; without: random tokens");
  command->add_option("--dtype", o->dtype, "Compute type: fp32, bf16, fp64; auto: bf16 where the processor has it, else fp32")->capture_default_str();
  command->add_option("--threads", o->threads, "Threads; 0: as many as the processor has cores")->check(CLI::NonNegativeNumber)->capture_default_str();
  command->add_flag("--json", o->as_json, "Print JSON");
  command->add_option("--vs", o->earlier, "Compare with the JSON of an earlier run");
  return command;
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto* bench = app.add_subcommand("bench", "Measure this machine: reading, writing, training; with peaks and shares of them");
  bench->require_subcommand(1);
  bench->footer("Examples:\n  ingrain bench read models/reader-17m --text examples/data/emma.txt\n"
                "  ingrain bench decode models/reader-17m --contexts 0,8192 --json > before.json\n"
                "  ingrain bench train models/reader-17m --mode meta,standard\n"
                "docs/benchmarks.md says what is counted.");
  const auto o = std::make_shared<BenchCommand>();
  const auto runs = [&](CLI::App* command, int64_t& value) {
    command->add_option("--runs", value, "The figures are medians of so many runs")->check(CLI::Range(1, 1000))->capture_default_str();
  };

  auto* read = add_benchmark(*bench, o, "read", "Reading a text from its start");
  read->add_option("--tokens", o->read.tokens, "How many tokens")->check(CLI::PositiveNumber)->capture_default_str();
  read->add_flag("!--no-learning", o->read.learn, "Make no inner steps");
  runs(read, o->read.runs);
  read->callback([o] { measure(*o, "read", [&](const auto& subject, auto& report) { bench_read(subject, o->read, report); }); });

  auto* decode = add_benchmark(*bench, o, "decode", "Writing token by token after contexts of several lengths");
  decode->add_option("--contexts", o->decode.contexts, "Lengths, separated by commas")->delimiter(',')->check(CLI::NonNegativeNumber)->capture_default_str();
  decode->add_option("--tokens", o->decode.tokens, "Tokens written in each run")->check(CLI::PositiveNumber)->capture_default_str();
  decode->add_flag("!--no-learning", o->decode.learn, "Make no inner steps");
  decode->add_option("--weights", o->weights, "native, or q8_0: slow weights in eight bits")->check(CLI::IsMember({"native", "q8_0"}))->capture_default_str();
  runs(decode, o->decode.runs);
  decode->callback([o] { measure(*o, "decode", [&](const auto& subject, auto& report) { bench_decode(subject, o->decode, report); }); });

  auto* train = add_benchmark(*bench, o, "train", "The outer gradient: meta-learning beside ordinary training");
  train->add_option("--mode", o->train.modes, "meta, standard, or both")->delimiter(',')->capture_default_str();
  train->add_option("--length", o->train.length, "Tokens of a sequence")->check(CLI::PositiveNumber)->capture_default_str();
  train->add_option("--batch", o->train.batch, "Sequences")->check(CLI::PositiveNumber)->capture_default_str();
  train->add_flag("!--keep-activations", o->train.recompute, "Keep the prefix's activations instead of computing them again");
  runs(train, o->train.runs);
  train->callback([o] { measure(*o, "train", [&](const auto& subject, auto& report) { bench_train(subject, o->train, report); }); });
}

}  // namespace ingrain::cli
