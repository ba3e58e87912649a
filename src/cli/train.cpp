#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/unfinished.h"
#include "cli/commands.h"
#include "distributed/launch.h"
#include "model/device.h"
#include "train/memory_plan.h"
#include "train/run.h"
#include "train/validation.h"

#include <cstdio>
#include <cstdlib>

namespace ingrain::cli {
namespace {

struct TrainCommand {
  std::string run;
  std::vector<std::string> set;
  std::vector<std::string> export_to;
  std::string dtype = "fp32";
  bool resume = false, dry_run = false;
};

void print_plan(const train::RunConfig& config) {
  // A run for a GPU may be planned where there is none.
  const bool named = config.train.device.starts_with("cuda");
  const at::Device device = named ? at::Device(at::kCUDA) : train::device_of(config);
  const auto compute = parse_compute_type(config.train.dtype, device);
  const train::MemoryEstimate m = train::estimate_memory(config, compute, config.train.recompute.value_or(true));
  const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::printf("%s\n", train::resolved_toml(config).c_str());
  std::printf("# parameters     %ld, of which %ld are trained\n", m.parameters, m.trained);
  std::printf("# tokens         %ld in %ld %s of %ld %s of %ld\n",
              config.train.steps * config.train.batch * config.data.length, config.train.steps,
              plural(config.train.steps, "step").c_str(), config.train.batch,
              plural(config.train.batch, "sequence").c_str(), config.data.length);
  std::printf("# computes in    %s on %s\n", compute_type_name(compute).c_str(),
              named ? config.train.device.c_str() : device.str().c_str());
  std::printf(
      "# memory, about  %.0f MiB: weights, gradients and moments %.0f, fast weights of the inner loop %.0f, "
      "activations %.0f\n",
      mib(m.bytes()), mib(m.state()), mib(m.fast), mib(m.activations + m.head));
  if (!config.train.recompute)
    std::printf("# if it fits      activations are kept, which makes them %.0f\n",
                mib(train::estimate_memory(config, compute, false).activations));
}

/// The run on this rank; on each of its machine another GPU, where the file leaves that open.
void run_on(distributed::Communicator& ranks, const distributed::Launch& launch, const TrainCommand& o) {
  std::optional<train::RunConfig> config;
  together(ranks, [&] { config = train::load_run_config(o.run, o.set); });
  if (o.dry_run) {
    train::check_validation(*config);
    if (ranks.first()) print_plan(*config);
    return;
  }
  std::string& device = config->train.device;
  if (!ranks.alone() && (device == "auto" || device == "cuda") && train::device_of(*config).is_cuda())
    device = fmt::format("cuda:{}", launch.local_rank % static_cast<int>(find_gpus().capabilities.size()));
  watch_interrupts("a checkpoint is written after this step; --resume goes on from it");
  train::RunOptions options;
  options.resume = o.resume;
  options.interrupted = interrupted;
  options.say = [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  };
  options.ranks = &ranks;
  train::run_training(*config, options);
}

void train_command(const TrainCommand& o) {
  if (!o.export_to.empty()) {
    if (o.export_to[0].empty()) fail_usage("--export: FOLDER is empty; it must name something");
    { const UnfinishedFolder probe(o.export_to[0]); }  // that nothing is there is known before a checkpoint is read
    train::export_model(o.export_to[1], o.export_to[0], parse_compute_type(o.dtype));
    std::printf("the model is in %s\n", o.export_to[0].c_str());
    return;
  }
  if (o.run.empty()) fail_usage("name a configuration: ingrain train run.toml (see ingrain train --help)");
  const distributed::Launch launch = distributed::this_launch();
  distributed::Communicator& ranks = distributed::join(launch);
  try {
    run_on(ranks, launch, o);
    ranks.finish();
  } catch (const distributed::Agreed& e) {
    if (ranks.alone()) throw;
    // Told before anyone ends: mpirun kills all who are left when one has ended with an error.
    if (ranks.first()) std::fprintf(stderr, "ingrain: %s\n", e.what());
    std::fflush(nullptr);
    ranks.finish();
    std::_Exit(1);
  } catch (const std::exception& e) {
    ranks.fail(e.what());
    throw;
  }
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto* command = app.add_subcommand("train", "Train a model that learns while reading, or an ordinary one");
  auto o = std::make_shared<TrainCommand>();
  command->add_option("RUN.TOML", o->run, "What to train on what, and where the result goes: docs/training.md");
  command->add_option("--set", o->set, "section.key=value: overrides a setting of the file; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--resume", o->resume, "Continue from the newest checkpoint in checkpoint.folder");
  command->add_flag("--dry-run", o->dry_run,
                    "Print the whole configuration, the number of parameters and the memory needed; train nothing");
  auto* dtype = command->add_option("--dtype", o->dtype, "With --export: type of the stored weights, fp32 or bf16")
                    ->capture_default_str();
  auto* to =
      command->add_option("--export", o->export_to, "FOLDER CHECKPOINT: write a checkpoint's weights as a model folder")
          ->expected(2);
  dtype->needs(to);
  command->footer(
      "Examples:\n"
      "  ingrain train run.toml\n"
      "  ingrain train run.toml --set train.steps=200 --set train.lr=1e-3\n"
      "  ingrain train run.toml --resume\n"
      "  ingrain train --export my-model run/checkpoint-00000500.safetensors --dtype bf16\n"
      "  mpirun -n 4 ingrain train run.toml\n"
      "Ctrl-C writes a checkpoint before it ends the run. Several processes share each batch: docs/distributed.md.");
  command->callback([o] { train_command(*o); });
}

}  // namespace ingrain::cli
