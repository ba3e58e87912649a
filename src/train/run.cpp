#include "train/run.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/mean_text.h"
#include "base/new_folder.h"
#include "base/progress.h"
#include "base/unfinished.h"
#include "base/text.h"
#include "train/run_log.h"

#include <chrono>
#include <optional>

namespace ingrain::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The finished model's place; nothing is left there that was not there before.
void check_model_place(const fs::path& folder) {
  if (fs::exists(folder)) {
    require(fs::is_directory(folder), "{}: is no folder; choose another checkpoint.model", folder.string());
    for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"}) require_writable(folder / file);
    return;
  }
  const UnfinishedFolder probe(folder);
}

/// Space for one more checkpoint, which is written before an older one is removed.
void check_space(const Trainer& trainer) {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : trainer.state()) bytes += tensor.nbytes();
  const fs::path& folder = trainer.run().checkpoint.folder;
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  require(unknown || space.available >= bytes,
          "{}: a checkpoint needs {}, and {} are free there; choose another checkpoint.folder, or make room",
          folder.string(), format_bytes(bytes), format_bytes(space.available));
}

class Run {
 public:
  Run(const RunConfig& config, const RunOptions& options) : config_(config), options_(options) {
    check_validation(config);
    // An Error before the first step is better than one at the first checkpoint.
    folder_.emplace(config.checkpoint.folder, "choose another checkpoint.folder");
    require_writable(config.checkpoint.folder / ".writable");
    check_model_place(config.checkpoint.model);
    require(options.resume || list_checkpoints(config.checkpoint.folder).empty(),
            "{}: holds checkpoints of an earlier run; resume it, or choose another checkpoint.folder",
            config.checkpoint.folder.string());
    trainer_ = std::make_unique<Trainer>(config);
    check_space(*trainer_);
    if (!trainer_->device().is_cpu()) say(fmt::format("computing on {}", trainer_->device().str()));
    if (!config.train.recompute)
      say(trainer_->recomputes() ? "activations are computed again in the backward pass" : "activations are kept");
    uint64_t log_bytes = 0;
    if (options.resume) {
      const Resumed resumed = resume_newest(*trainer_);
      for (const std::string& damage : resumed.damaged) say("not used: " + damage);
      say(fmt::format("continuing after step {} from {}", trainer_->counters().step, resumed.path.string()));
      log_bytes = resumed.log_bytes;
    }
    log_ = std::make_unique<RunLog>(config.log.file, log_bytes);
  }

  RunEnd operator()() {
    loop();
    if (!trainer_->done()) {
      say(fmt::format("interrupted after step {}; {} is written; resume to go on", trainer_->counters().step,
                      checkpoint().string()));
      return RunEnd::interrupted;
    }
    // Before the validation, whatever may happen in it; and after it, so that its lines belong to the log that is kept.
    say(fmt::format("{} {} done; last checkpoint {}", done(), plural(done(), "step"), checkpoint().string()));
    if (!config_.validation.paths.empty()) validate(), checkpoint();
    export_model(*trainer_);
    say(fmt::format("the model is in {}", config_.checkpoint.model.string()));
    return RunEnd::finished;
  }

 private:
  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }
  bool stop() const { return options_.interrupted && options_.interrupted(); }
  int64_t done() const { return trainer_->counters().step; }

  void loop() {
    const int64_t tokens_per_step = config_.train.batch * config_.data.length, begun = done();
    auto bar = std::make_unique<ingrain::Progress>(
        "training", static_cast<uint64_t>((config_.train.steps - begun) * tokens_per_step), "tokens");
    while (!trainer_->done() && !stop()) {
      const auto start = Clock::now();
      const StepReport report = trainer_->advance();
      if (report.skipped)
        say(fmt::format("step {}: the loss or the gradient is not finite; step skipped ({} so far)", done(),
                        trainer_->counters().skipped));
      if (done() % config_.log.every == 0 || trainer_->done() || report.skipped)
        log_->step(report, trainer_->counters(), seconds_since(start));
      bar->update(static_cast<uint64_t>((done() - begun) * tokens_per_step),
                  fmt::format("step {}/{}  loss {:.4f}", done(), config_.train.steps, report.loss));
      if (trainer_->done()) break;
      if (config_.validation.every > 0 && done() % config_.validation.every == 0) bar->finish(), validate();
      // While steps are skipped there is nothing new, and what is older may be what to go back to.
      if (done() % config_.checkpoint.every == 0 && !report.skipped) checkpoint();
    }
  }

  fs::path checkpoint() {
    saved_ = save_checkpoint(*trainer_, log_->bytes());
    return saved_;
  }

  void validate() {
    const auto reports = trainer_->validate([this] { return !stop(); });
    if (!reports) return;
    for (const ValidationReport& r : *reports) {
      log_->validation(r, done());
      say(fmt::format("step {}: {}: loss {} with learning, {} without; in its last eighth {} and {}", done(), r.name,
                      mean_text(r.loss_on), mean_text(r.loss_off), mean_text(r.loss_on_P.back()),
                      mean_text(r.loss_off_P.back())));
      if (r.not_finite_on + r.not_finite_off > 0)
        say(fmt::format(
            "step {}: {}: the loss of {} of {} tokens is not finite with learning, of {} without; the means "
            "leave them out",
            done(), r.name, r.not_finite_on, r.tokens, r.not_finite_off));
    }
  }

  RunConfig config_;
  RunOptions options_;
  std::optional<NewFolder> folder_;  // of checkpoints
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<RunLog> log_;
  fs::path saved_;
};

}  // namespace

RunEnd run_training(const RunConfig& config, const RunOptions& options) { return Run(config, options)(); }

}  // namespace ingrain::train
