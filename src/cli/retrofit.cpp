#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/ranges.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "model/parameters.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"
#include "store/retrofit.h"
#include "store/stored_weights.h"

#include <cstdio>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

struct RetrofitCommand {
  std::string model, target, start = "copied", optimizer = "muon";
  RetrofitOptions retrofit;
  bool full = false;
};

void retrofit(RetrofitCommand o) {
  const fs::path target(o.target);
  watch_interrupts("nothing is left behind");
  const auto stop = [&] { stop_if_interrupted(o.target + ": stopped; nothing was written"); };
  UnfinishedFolder made(target);
  o.model = resolve_model(o.model).string();
  const Network base = load_model(o.model, at::kFloat);
  const ModelConfig config = retrofit_config(base.config, o.retrofit, o.model);
  stop();
  const int64_t written = parameter_count(config) - (o.full ? 0 : parameter_count(base.config));
  require_space(made.path() / "model.safetensors", static_cast<uint64_t>(written) * sizeof(float), "the model");
  const Weights weights = retrofit_weights(base, config, o.retrofit);
  stop();
  if (o.full) {
    save_model(made.path(), config, weights, at::kFloat);
  } else {
    save_adapter(made.path(), config, weights, o.model, at::kFloat);
  }
  copy_tokenizer(o.model, made.path());
  stop();
  made.commit();
  std::printf("%s: %s of %s parameters are new: fast MLPs in the last %ld of %ld blocks, window %s, chunk %s\n",
              o.target.c_str(), with_commas(parameter_count(config) - parameter_count(base.config)).c_str(),
              with_commas(parameter_count(config)).c_str(), config.suffix_len, config.num_layers,
              with_commas(o.retrofit.window).c_str(), with_commas(config.chunk).c_str());
  int64_t sinks = 0;
  for (int64_t i = 0; i < config.num_layers; ++i) sinks += config.layer(i).sink ? 1 : 0;
  std::printf("%ld of %ld windows keep the first token's key%s\n", sinks, config.num_layers,
              sinks == 0 && o.retrofit.sink ? " (models with norms of q or biases cannot; docs/retrofit.md)" : "");
  if (!o.full) std::printf("it refers to %s, which must stay where it is (base.json)\n", o.model.c_str());
}

}  // namespace

void add_retrofit_command(CLI::App& app) {
  auto* command =
      app.add_subcommand("retrofit", "Give a model sliding windows and fast MLPs, ready to be meta-trained");
  auto o = std::make_shared<RetrofitCommand>();
  RetrofitOptions& r = o->retrofit;
  command->add_option("MODEL", o->model, "A model: a folder, one of Hugging Face's too, or a .gguf file")->required();
  command->add_option("-o,--output", o->target, "The folder to make: an adapter that refers to MODEL")->required();
  add_whole(*command, "--window", r.window, "Tokens of sliding-window attention", 1)->capture_default_str();
  add_whole(*command, "--keep-full", r.keep_full, "Leave so many layers without a window, evenly among those without",
            0)
      ->capture_default_str();
  add_whole(*command, "--chunk", r.chunk, "Tokens per inner step", 1)->capture_default_str();
  add_whole(*command, "--suffix", r.suffix, "How many of the last blocks get a fast MLP (default: half of them)", 1);
  add_whole(*command, "--fast-mlp", r.fast_mlp, "Width of the fast MLPs (default: a twelfth of the ordinary ones')", 1);
  add_real(*command, "--inner-lr", r.inner_lr, "Rate of the inner step (default: 0.06 with Muon, 1 with SGD)");
  command
      ->add_option("--inner-optimizer", o->optimizer, "What the inner step makes of a gradient: Muon, or clipped SGD")
      ->check(one_of({"muon", "sgd"}))
      ->capture_default_str();
  add_real(*command, "--inner-momentum", r.inner.momentum, "What stays of the inner steps before, from 0 to below 1")
      ->capture_default_str();
  add_real(*command, "--inner-decay", r.inner.decay, "The part of the way back to the start that each inner step goes")
      ->capture_default_str();
  add_real(*command, "--inner-w13-factor", r.inner.w13_factor, "Factor of the inner step's rate for w1 and w3")
      ->capture_default_str();
  add_whole(*command, "--inner-steps", r.inner.steps, "Inner steps a chunk", 1)->capture_default_str();
  add_whole(*command, "--step-delay", r.inner.step_delay,
            "So many tokens after a chunk are still read with the weights before its inner step", 0)
      ->capture_default_str();
  command->add_option("--layer-rates", r.layer_rates, "Factors of the rate to start from, one a fast MLP (default: 1)")
      ->delimiter(',')
      ->check(real(0, std::numeric_limits<double>::max()));
  command->add_option("--start", o->start, "Where their features come from: copied from the block's own MLP, or random")
      ->check(one_of({"copied", "random"}))
      ->capture_default_str();
  command->add_flag_callback(
      "--no-sink", [o] { o->retrofit.sink = false; }, "Do not keep the first token's key in the windows");
  add_whole(*command, "--seed", r.seed, "Of the fast MLPs' random weights", 0)->capture_default_str();
  command->add_flag("--full", o->full, "Write a whole model folder instead of an adapter");
  command->footer(
      "The fast MLPs start without effect; train them with train.parameters = \"fast\" (docs/retrofit.md).\n"
      "Examples:\n"
      "  ingrain retrofit models/smollm2-135m -o reader --window 1024 --chunk 256\n"
      "  ingrain train reader.toml\n"
      "  ingrain retrofit SmolLM2-135M-Instruct.gguf -o reader --full");
  command->callback([o] {
    o->retrofit.start = o->start == "copied" ? FastStart::copied : FastStart::random;
    o->retrofit.inner.optimizer = o->optimizer == "muon" ? InnerOptimizer::muon : InnerOptimizer::sgd;
    retrofit(*o);
  });
}

}  // namespace ingrain::cli
