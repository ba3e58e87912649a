#include "bench/benchmarks.h"
#include "bench/ops/ops.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/ranges.h"

#include "base/interrupt.h"
#include "model/device.h"
#include "model/network.h"
#include "store/open_model.h"

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <functional>

namespace ingrain::cli {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 40;  // whose sums fit

/// What the benchmarks share.
struct BenchCommand {
  std::string model, text, earlier;
  LoadOptions how;
  int threads = 0;
  bool as_json = false;
  bench::ReadOptions read;
  bench::DecodeOptions decode;
  bench::ChatOptions chat;
  bench::StreamsOptions streams;
  bench::TrainOptions train;
  bench::OpsOptions ops;
  std::vector<std::string> ops_types;
  bool list = false;
};

void print(const BenchCommand& o, bench::Report& report,
           const std::function<std::string(const bench::Report&)>& to_text) {
  if (!o.earlier.empty()) bench::compare(report, o.earlier);
  std::fputs(o.as_json ? (bench::to_json(report).dump(2) + "\n").c_str() : to_text(report).c_str(), stdout);
}

template <class Measure>
void measure_model(const BenchCommand& o, const char* benchmark, const Measure& measure) {
  if (o.threads > 0) at::set_num_threads(o.threads);
  watch_interrupts("nothing was measured yet");
  const std::string model = resolve_model(o.model, preset_names()).string();
  const at::Device device = chosen_device(o.how);
  const at::ScalarType compute = parse_compute_type(o.how.dtype, device);
  bench::Subject subject = bench::load_subject(model, o.text, compute, device, o.how.weights);
  delay_steps(subject.model.config, o.how.step_delay, model);
  const std::string type = compute_type_name(compute);
  stop_if_interrupted("stopped before anything was measured");
  announce_interrupts("what was measured whole by now, if anything, is printed");
  bench::Report report{benchmark, o.model, o.how.weights == "native" ? type : type + ", weights " + o.how.weights,
                       {},        {},      {}};
  measure(subject, report);
  if (interrupted()) report.type += ", interrupted";
  bench::measure_machine(report, {compute}, device);
  bench::add_shares_of_peaks(report, compute);
  print(o, report, bench::to_text);
}

/// Those named; without any, fp32 and what the device multiplies natively.
std::vector<at::ScalarType> types_of(const BenchCommand& o, at::Device device) {
  std::vector<at::ScalarType> out;
  for (const std::string& name : o.ops_types) out.push_back(parse_compute_type(name, device));
  if (!out.empty()) return out;
  return native_compute_type(device) == at::kFloat ? std::vector{at::kFloat} : std::vector{at::kFloat, at::kBFloat16};
}

void measure_ops(const BenchCommand& o) {
  if (o.threads > 0) at::set_num_threads(o.threads);
  bench::OpsOptions options = o.ops;
  options.device = parse_device(o.how.device);
  options.types = types_of(o, options.device);
  if (o.list) {
    for (const bench::OpsRow& row : bench::ops_rows(options)) std::puts(row.name.c_str());
    return;
  }
  watch_interrupts("what was measured whole by now, if anything, is printed");
  bench::Report report{"ops", "", o.ops.filter.empty() ? "every operation" : "operations like " + o.ops.filter,
                       {},    {}, {}};
  const auto results = bench::bench_ops(options, report);
  print(o, report, [&](const bench::Report& r) { return bench::ops_text(results, r); });
}

void add_common_options(CLI::App& command, BenchCommand& o) {
  add_whole(command, "--threads", o.threads, "Threads; 0: as many as the processor has cores", 0, 1024)
      ->capture_default_str();
  command.add_flag("--json", o.as_json, "Print JSON");
  command.add_option("--vs", o.earlier, "Compare with the JSON of an earlier run");
}

CLI::App* add_benchmark(CLI::App& bench, const std::shared_ptr<BenchCommand>& o, const char* name, const char* what) {
  auto* command = bench.add_subcommand(name, what);
  command
      ->add_option(
          "MODEL", o->model,
          "A model; a config.json or the name of a shape (125m, 350m, 760m, 1b, 3b): random weights of that shape")
      ->required();
  command->add_option("--text", o->text, "A text file to read, repeated where it is too short; without: random tokens");
  add_compute_options(*command, o->how);
  add_common_options(*command, *o);
  return command;
}

void add_ops(CLI::App& bench, const std::shared_ptr<BenchCommand>& o) {
  auto* ops = bench.add_subcommand("ops", "Every operation by itself, beside its reference formulas and libtorch");
  ops->add_option("--filter", o->ops.filter, "Only rows in whose name this regular expression is found");
  ops->add_flag("--list", o->list, "Print the rows' names and measure nothing");
  add_real(*ops, "--seconds", o->ops.seconds, "Time for each of a row's figures", 0, 60)->capture_default_str();
  ops->add_flag("--all-shapes", o->ops.all_shapes,
                "Also shapes that say little here: large ones on a CPU, small ones on a GPU");
  ops->add_option("--dtype", o->ops_types,
                  "fp32, bf16 or both as fp32,bf16; without: fp32, and bf16 where it is native")
      ->delimiter(',')
      ->check(one_of({"fp32", "bf16"}));
  add_device_option(*ops, o->how.device);
  add_common_options(*ops, *o);
  ops->callback([o] { measure_ops(*o); });
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto* bench = app.add_subcommand(
      "bench", "Measure this machine: reading, writing, training, operations; with peaks and shares of them");
  bench->require_subcommand(1);
  bench->footer(
      "Examples:\n  ingrain bench read models/reader-17m --text examples/data/emma.txt\n"
      "  ingrain bench decode models/reader-17m --contexts 0,8192 --json > before.json\n"
      "  ingrain bench chat models/reader-17m --context 8192 --turns 20\n"
      "  ingrain bench streams models/reader-17m --streams 1,16\n"
      "  ingrain bench train models/reader-17m --mode meta,standard\n"
      "  ingrain bench ops --filter attention/17m\n"
      "docs/benchmarks.md says what is counted.");
  const auto o = std::make_shared<BenchCommand>();
  const auto runs = [&](CLI::App* command, int64_t& value, const char* what) {
    add_whole(*command, "--runs", value, what, 1, 1000)->capture_default_str();
  };
  constexpr const char* kMedians = "The figures are medians of so many runs";

  auto* read = add_benchmark(*bench, o, "read", "Reading a text from its start");
  add_whole(*read, "--tokens", o->read.tokens, "How many tokens", 1, kMostTokens)->capture_default_str();
  read->add_flag_callback("--no-learning", [o] { o->read.learn = false; }, "Make no inner steps");
  runs(read, o->read.runs, kMedians);
  read->callback([o] {
    measure_model(*o, "read", [&](const auto& subject, auto& report) { bench_read(subject, o->read, report); });
  });

  auto* decode =
      add_benchmark(*bench, o, "decode", "Writing token by token after contexts of several lengths, in turn");
  add_whole(*decode, "--contexts", o->decode.contexts, "Lengths, separated by commas", 0, kMostTokens)
      ->delimiter(',')
      ->capture_default_str();
  add_whole(*decode, "--tokens", o->decode.tokens, "Tokens written in each run", 1, kMostTokens)->capture_default_str();
  decode->add_flag_callback("--no-learning", [o] { o->decode.learn = false; }, "Make no inner steps");
  add_whole(*decode, "--ahead", o->decode.ahead,
            "Tokens at a time that are passed ahead towards an inner step, spread over as many that follow; 0: "
            "the token that ends a chunk does it all",
            0, kMostTokens)
      ->capture_default_str();
  add_weights_option(*decode, o->how);
  add_step_delay_option(*decode, o->how);
  runs(decode, o->decode.runs, "How often to write after each context; the figures are of all runs' tokens");
  decode->callback([o] {
    measure_model(*o, "decode", [&](const auto& subject, auto& report) { bench_decode(subject, o->decode, report); });
  });

  auto* chat = add_benchmark(*bench, o, "chat", "A conversation: from a question to its first token, turn after turn");
  const auto tokens_of = [&](const char* name, int64_t& value, const char* what) {
    add_whole(*chat, name, value, what, 1, kMostTokens)->capture_default_str();
  };
  tokens_of("--context", o->chat.context, "Tokens read before the conversation");
  add_whole(*chat, "--turns", o->chat.turns, "Questions", 2, 10000)->capture_default_str();
  tokens_of("--question", o->chat.question, "Tokens of a question");
  tokens_of("--answer", o->chat.answer, "Tokens of an answer");
  add_weights_option(*chat, o->how);
  runs(chat, o->chat.runs, "Conversations; the figures are of all their turns");
  chat->callback([o] {
    measure_model(*o, "chat", [&](const auto& subject, auto& report) { bench_chat(subject, o->chat, report); });
  });

  auto* streams =
      add_benchmark(*bench, o, "streams", "Conversations that write in one batch, each at its own position");
  add_whole(*streams, "--streams", o->streams.streams, "How many, separated by commas", 1, 1024)
      ->delimiter(',')
      ->capture_default_str();
  add_whole(*streams, "--context", o->streams.context, "Tokens read before", 1, kMostTokens)->capture_default_str();
  add_whole(*streams, "--tokens", o->streams.tokens, "Tokens that each writes", 1, kMostTokens)->capture_default_str();
  streams->add_flag_callback("--no-learning", [o] { o->streams.learn = false; }, "Make no inner steps");
  add_weights_option(*streams, o->how);
  runs(streams, o->streams.runs, kMedians);
  streams->callback([o] {
    measure_model(*o, "streams",
                  [&](const auto& subject, auto& report) { bench_streams(subject, o->streams, report); });
  });

  auto* train = add_benchmark(*bench, o, "train", "The outer gradient: meta-learning beside ordinary training");
  train->add_option("--mode", o->train.modes, "meta, standard, or both")->delimiter(',')->capture_default_str();
  add_whole(*train, "--length", o->train.length, "Tokens of a sequence", 1, kMostTokens)->capture_default_str();
  add_whole(*train, "--batch", o->train.batch, "Sequences", 1, 1 << 20)->capture_default_str();
  train->add_flag_callback(
      "--keep-activations", [o] { o->train.recompute = false; },
      "Keep the prefix's activations instead of computing them again");
  runs(train, o->train.runs, kMedians);
  train->callback([o] {
    measure_model(*o, "train", [&](const auto& subject, auto& report) { bench_train(subject, o->train, report); });
  });

  add_ops(*bench, o);
}

}  // namespace ingrain::cli
