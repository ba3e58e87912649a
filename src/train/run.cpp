#include "train/run.h"

#include "base/error.h"
#include "base/progress.h"
#include "train/run_log.h"

#include <chrono>

namespace ingrain::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// An Error before the first step is better than one at the first checkpoint.
void check_writable(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, "{}: cannot make the checkpoint folder: {}; choose another checkpoint.folder", folder.string(),
          error.message());
  const fs::path probe = folder / ".writable";
  write_file(probe, "");
  fs::remove(probe, error);
}

class Run {
 public:
  Run(const RunConfig& config, const RunOptions& options) : config_(config), options_(options) {
    check_writable(config.checkpoint.folder);
    require(options.resume || list_checkpoints(config.checkpoint.folder).empty(),
            "{}: holds checkpoints of an earlier run; continue it with --resume, or choose another checkpoint.folder",
            config.checkpoint.folder.string());
    trainer_ = std::make_unique<Trainer>(config);
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
      say(fmt::format("interrupted after step {}; {} is written; continue with --resume", trainer_->counters().step,
                      checkpoint().string()));
      return RunEnd::interrupted;
    }
    validate();
    // The checkpoint comes last: its log_bytes covers the validation's lines.
    say(fmt::format("{} steps done; last checkpoint {}", trainer_->counters().step, checkpoint().string()));
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
      if (done() % config_.checkpoint.every == 0) checkpoint();
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
      say(fmt::format("step {}: {}: loss {:.4f} with learning, {:.4f} without; in its last eighth {:.4f} and {:.4f}",
                      done(), r.name, r.loss_on, r.loss_off, r.loss_on_P.back(), r.loss_off_P.back()));
    }
  }

  RunConfig config_;
  RunOptions options_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<RunLog> log_;
  fs::path saved_;
};

}  // namespace

RunEnd run_training(const RunConfig& config, const RunOptions& options) { return Run(config, options)(); }

}  // namespace ingrain::train
