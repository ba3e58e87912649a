// ingrain plan: what a training run will need on so many GPUs, before anything is bought or started.
#include "base/counted.h"
#include "base/error.h"
#include "bench/step_time.h"
#include "cli/commands.h"
#include "cli/ranges.h"
#include "model/network.h"
#include "train/memory_plan.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {
namespace {

using nlohmann::ordered_json;

constexpr double kGB = 1e9;
constexpr int64_t kMostRows = 1 << 16;

struct PlanCommand {
  std::string run;
  std::vector<std::string> set;
  int64_t gpus = 1;
  double gpu_memory = 80;
  bool time = false, as_json = false;
  bench::Rates rates;
};

/// What a run with `rows` sequences a rank needs; recompute as asked, "auto" as memory allows.
train::MemoryEstimate needed(train::RunConfig run, at::ScalarType compute, int64_t gpus, int64_t free,
                             bool& recompute) {
  const bool keeping_fits = train::estimate_memory(run, compute, false, gpus).bytes() <= free;
  recompute = run.train.recompute.value_or(!keeping_fits);
  return train::estimate_memory(run, compute, recompute, gpus);
}

/// The most sequences a rank takes at a time within `free` bytes; 0 if not even one.
int64_t most_rows(train::RunConfig run, at::ScalarType compute, int64_t gpus, int64_t free) {
  int64_t fits = 0, beyond = kMostRows + 1;
  run.train.accumulation = 1, run.train.ordered = false;
  while (beyond - fits > 1) {  // memory grows with rows
    const int64_t rows = (fits + beyond) / 2;
    run.train.batch = rows * gpus;
    bool recompute;
    (needed(run, compute, gpus, free, recompute).bytes() <= free ? fits : beyond) = rows;
  }
  return fits;
}

struct Plan {
  train::MemoryEstimate memory;
  bool recompute = true;
  int64_t rows = 0, most = 0;
  at::ScalarType compute = at::kFloat;
};

void print_memory(const PlanCommand& o, const train::RunConfig& run, const Plan& plan) {
  const auto gb = [](int64_t bytes) { return static_cast<double>(bytes) / kGB; };
  const train::MemoryEstimate& m = plan.memory;
  std::printf("%ld %s of %g GB; %ld parameters, of which %ld are trained; computing in %s\n", o.gpus,
              plural(o.gpus, "rank").c_str(), o.gpu_memory, m.parameters, m.trained,
              compute_type_name(plan.compute).c_str());
  std::printf("batch of %ld %s of %ld tokens: %ld a rank, %ld at a time; activations %s\n", run.train.batch,
              plural(run.train.batch, "sequence").c_str(), run.data.length, run.train.batch / o.gpus, plan.rows,
              plan.recompute ? "are computed again" : "are kept");
  std::printf("memory per rank, about %.2f GB%s:\n", gb(m.bytes()),
              gb(m.bytes()) > o.gpu_memory ? ", which is MORE than there is" : "");
  const auto line = [&](const char* what, int64_t bytes) { std::printf("  %-44s %9.2f GB\n", what, gb(bytes)); };
  line("weights that are computed with", m.weights);
  line("sums of gradients", m.gradients);
  line("moments and master weights, the own stretch", m.optimizer);
  line("gradients of other ranks as they arrive", m.sharing);
  line("fast weights and inner gradients", m.fast);
  if (m.host > 0) line("  and in the host's memory", m.host);
  line("activations", m.activations);
  line("logits and their gradients", m.head);
  if (plan.most == 0)
    std::printf(
        "not even one sequence a rank fits: shorten data.sequence_length, lower train.kept_mib, raise "
        "train.kept_host_mib, or use "
        "more memory\n");
  else
    std::printf("largest batch: %ld %s, %ld a rank at a time; more by train.accumulation\n", plan.most * o.gpus,
                plural(plan.most * o.gpus, "sequence").c_str(), plan.most);
}

bench::TrainingShape shape_of(const train::RunConfig& run, const Plan& plan) {
  bench::TrainingShape out{.config = run.model.config,
                           .meta = run.train.mode == train::Mode::meta,
                           .recompute = plan.recompute,
                           .length = run.data.length,
                           .batch = run.train.batch};
  out.trained = plan.memory.trained;
  out.weight_bytes = static_cast<int64_t>(c10::elementSize(plan.compute));
  return out;
}

/// The numbers of GPUs that are looked at: powers of two that divide the batch, and what was asked for.
std::vector<int64_t> gpu_counts(int64_t batch, int64_t asked) {
  std::vector<int64_t> out;
  for (int64_t n = 1; n <= std::max<int64_t>(512, asked); n *= 2)
    if (batch % n == 0) out.push_back(n);
  if (std::find(out.begin(), out.end(), asked) == out.end()) out.push_back(asked);
  std::sort(out.begin(), out.end());
  return out;
}

void print_time(const PlanCommand& o, const bench::TrainingShape& shape) {
  const bench::Rates& r = o.rates;
  std::printf(
      "\nAssumed, not measured: %g TFLOP/s sustained (--tflops), memory %g GB/s (--memory-gbytes), %ld GPUs a machine\n"
      "(--gpus-per-node) that send %g GB/s each among themselves (--node-gbytes) and %g GB/s to others\n"
      "(--network-gbytes), %g us a message (--latency-us). Communication is added to computing, though most gradients\n"
      "travel meanwhile; no rank waits for a slower one; reading data costs nothing.\n",
      r.tflops, r.memory_gbytes, r.gpus_per_node, r.node_gbytes, r.network_gbytes, r.latency_us);
  std::printf("%8s %11s %11s %11s %11s %13s %14s\n", "GPUs", "step, s", "computing", "reducing", "publishing",
              "tokens/s", "communicating");
  int64_t binds = 0;
  for (const int64_t n : gpu_counts(shape.batch, o.gpus)) {
    const bench::StepTime t = bench::step_time(shape, r, n);
    if (binds == 0 && t.communicating() > t.computing) binds = n;
    std::printf("%7ld%s %11.4f %11.4f %11.4f %11.4f %13.0f %13.0f%%\n", n, n == o.gpus ? "*" : " ", t.total(),
                t.computing, t.reducing, t.publishing, static_cast<double>(shape.batch * shape.length) / t.total(),
                100 * t.communicating() / t.total());
  }
  if (binds > 0)
    std::printf("Communication binds from %ld GPUs on: it takes longer than computing. A larger batch moves that.\n",
                binds);
  else
    std::printf("Computing takes longer than communication on all of these.\n");
}

ordered_json json_of(const PlanCommand& o, const train::RunConfig& run, const Plan& plan) {
  const train::MemoryEstimate& m = plan.memory;
  ordered_json out{{"gpus", o.gpus},
                   {"parameters", m.parameters},
                   {"trained", m.trained},
                   {"rows_at_once", plan.rows},
                   {"recompute", plan.recompute},
                   {"bytes", m.bytes()},
                   {"weights", m.weights},
                   {"gradients", m.gradients},
                   {"optimizer", m.optimizer},
                   {"sharing", m.sharing},
                   {"fast", m.fast},
                   {"host", m.host},
                   {"activations", m.activations},
                   {"head", m.head},
                   {"largest_batch", plan.most * o.gpus}};
  if (!o.time) return out;
  const bench::TrainingShape shape = shape_of(run, plan);
  out["time"] = ordered_json::array();
  for (const int64_t n : gpu_counts(shape.batch, o.gpus)) {
    const bench::StepTime t = bench::step_time(shape, o.rates, n);
    out["time"].push_back({{"gpus", n},
                           {"seconds", t.total()},
                           {"computing", t.computing},
                           {"reducing", t.reducing},
                           {"optimizer", t.optimizer},
                           {"publishing", t.publishing},
                           {"bytes_sent", bench::bytes_sent(shape, n)}});
  }
  return out;
}

void plan_command(const PlanCommand& o) {
  const train::RunConfig run = train::load_run_config(o.run, o.set);
  require(run.train.batch % o.gpus == 0,
          "train.batch is {}, which {} ranks cannot share equally; choose a multiple: --set train.batch={}",
          run.train.batch, o.gpus, (run.train.batch / o.gpus + 1) * o.gpus);
  const bool on_cpu = run.train.device == "cpu";
  Plan plan;
  plan.compute = parse_compute_type(run.train.dtype, on_cpu ? at::Device(at::kCPU) : at::Device(at::kCUDA));
  const auto free = static_cast<int64_t>(o.gpu_memory * kGB);
  plan.memory = needed(run, plan.compute, o.gpus, free, plan.recompute);
  plan.rows = train::rows_at_once(run, o.gpus);
  plan.most = most_rows(run, plan.compute, o.gpus, free);
  if (o.as_json) {
    std::printf("%s\n", json_of(o, run, plan).dump(2).c_str());
    return;
  }
  print_memory(o, run, plan);
  if (o.time) print_time(o, shape_of(run, plan));
}

}  // namespace

void add_plan_command(CLI::App& app) {
  auto* command = app.add_subcommand("plan", "Say what a training run needs on many GPUs: memory, batch, time");
  auto o = std::make_shared<PlanCommand>();
  command->add_option("RUN.TOML", o->run, "The run, as 'ingrain train' takes it: docs/training.md")->required();
  command->add_option("--set", o->set, "section.key=value: overrides a setting of the file; may be repeated")
      ->allow_extra_args(false);
  add_whole(*command, "--gpus", o->gpus, "Ranks that share each batch, one a GPU", 1, 1 << 20)->capture_default_str();
  add_real(*command, "--gpu-memory", o->gpu_memory, "Of each, in GB", 0.001, 1e6)->capture_default_str();
  command->add_flag("--time", o->time, "Also how long a step takes on 1 to 512 GPUs, from the rates below");
  add_real(*command, "--tflops", o->rates.tflops, "Sustained in training, 10^12 operations a second", 1e-6, 1e9)
      ->capture_default_str();
  add_real(*command, "--memory-gbytes", o->rates.memory_gbytes, "A GPU's memory, GB/s", 1e-3, 1e9)
      ->capture_default_str();
  add_real(*command, "--node-gbytes", o->rates.node_gbytes, "Sending within a machine, GB/s a GPU", 1e-3, 1e9)
      ->capture_default_str();
  add_real(*command, "--network-gbytes", o->rates.network_gbytes, "Sending to other machines, GB/s a GPU", 1e-3, 1e9)
      ->capture_default_str();
  add_real(*command, "--latency-us", o->rates.latency_us, "Of a message, microseconds", 0, 1e6)->capture_default_str();
  add_whole(*command, "--gpus-per-node", o->rates.gpus_per_node, "GPUs of a machine", 1, 1 << 20)
      ->capture_default_str();
  command->add_flag("--json", o->as_json, "Print JSON");
  command->footer(
      "Examples:\n"
      "  ingrain plan run.toml --gpus 64 --gpu-memory 80\n"
      "  ingrain plan run.toml --gpus 64 --time --tflops 350 --set train.batch=512\n"
      "What is counted, and how near it is to measured peaks: docs/distributed.md.");
  command->callback([o] { plan_command(*o); });
}

}  // namespace ingrain::cli
