#include "train/run.h"

#include "base/clock.h"
#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mean_text.h"
#include "base/new_folder.h"
#include "base/progress.h"
#include "base/unfinished.h"
#include "base/text.h"
#include "distributed/gpus.h"
#include "model/gpus.h"
#include "train/run_log.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace ingrain::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Whether what stands at the model's place is what an earlier end of this run wrote: a model of its configuration, and
/// not the one that it began with.
bool is_own_model(const RunConfig& run) {
  const fs::path& folder = run.checkpoint.model;
  std::error_code none;
  if (fs::equivalent(folder, run.model.folder, none) || !fs::is_regular_file(folder / "config.json", none))
    return false;
  const nlohmann::json there = read_json(folder / "config.json", 16 << 20), own = to_json(run.model.config);
  return there.is_object() && std::ranges::all_of(own.items(), [&](const auto& item) {
           return there.value(item.key(), nlohmann::json()) == item.value();
         });
}

/// The finished model's place, before the first step: nothing that is somebody's is replaced there.
void check_model_place(const RunConfig& run, bool resume) {
  const fs::path& folder = run.checkpoint.model;
  std::error_code none;
  require(!fs::exists(folder) || fs::is_directory(folder), "{}: is no folder; choose another checkpoint.model",
          folder.string());
  require(!fs::exists(folder) || fs::is_empty(folder, none) || (resume && is_own_model(run)),
          "{}: holds files already; choose another checkpoint.model, or remove it", folder.string());
  const UnfinishedFolder probe(folder, /*may_hold_files=*/true);
}

/// Space for one more checkpoint, which is written before an older one is removed.
void check_space(const Trainer& trainer) {
  uint64_t bytes = 0;
  for (const auto& [name, shape] : trainer.state_shapes())
    bytes += sizeof(float) * static_cast<uint64_t>(c10::multiply_integers(shape));
  const fs::path& folder = trainer.run().checkpoint.folder;
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  require(unknown || space.available >= bytes,
          "{}: a checkpoint needs {}, and {} are free there; choose another checkpoint.folder, or make room",
          folder.string(), format_bytes(bytes), format_bytes(space.available));
}

class Run {
 public:
  Run(const RunConfig& config, const RunOptions& options)
      : config_(config), options_(options), ranks_(options.ranks ? *options.ranks : distributed::alone()) {
    // An Error before the first step is better than one at the first checkpoint.
    together(ranks_, [&] {
      check_validation(config);
      if (ranks_.first()) check_places();
    });
    together(ranks_, [&] {
      trainer_ = std::make_unique<Trainer>(config, ranks_);
      if (ranks_.first()) check_space(*trainer_);
    });
    if (!ranks_.alone()) say(fmt::format("{} ranks share each batch", ranks_.ranks()));
    if (!trainer_->device().is_cpu()) say(fmt::format("computing on {}", trainer_->device().str()));
    if (!ranks_.alone() && trainer_->device().is_cuda()) join_gpus(trainer_->device().index());
    if (!config.train.recompute)
      say(trainer_->recomputes() ? "activations are computed again in the backward pass" : "activations are kept");
    uint64_t log_bytes = 0;
    if (options.resume) {
      const Resumed resumed = resume_newest(*trainer_);
      for (const std::string& damage : resumed.damaged) say("not used: " + damage);
      say(fmt::format("continuing after step {} from {}", trainer_->counters().step, resumed.path.string()));
      log_bytes = resumed.log_bytes;
    }
    together(ranks_, [&] {
      if (ranks_.first()) log_ = std::make_unique<RunLog>(config.log.file, log_bytes);
    });
  }

  RunEnd operator()() {
    const RunEnd end = train();
    if (gpus_) gpus_->finish();
    return end;
  }

 private:
  RunEnd train() {
    loop();
    if (!trainer_->done()) {
      say(fmt::format("interrupted after step {}; {} is written; resume to go on", trainer_->counters().step,
                      checkpoint().string()));
      return RunEnd::interrupted;
    }
    // Before the validation, whatever may happen in it; and after it, so that its lines belong to the log that is kept.
    say(fmt::format("{} {} done; last checkpoint {}", done(), plural(done(), "step"), checkpoint().string()));
    if (!config_.validation.paths.empty()) validate(), checkpoint();
    export_model(*trainer_, saved_);
    say(fmt::format("the model is in {}", config_.checkpoint.model.string()));
    return RunEnd::finished;
  }

  void say(const std::string& line) const {
    if (options_.say && ranks_.first()) options_.say(line);
  }
  bool asked_to_stop() const { return options_.interrupted && options_.interrupted(); }
  bool stop() { return ranks_.any(asked_to_stop()); }  // of one rank is of all
  int64_t done() const { return trainer_->counters().step; }

  void join_gpus(int gpu) {
    std::string why_not;
    gpus_ = distributed::join_gpus(ranks_, gpu, [gpu] { return current_stream(gpu); }, why_not);
    if (gpus_) trainer_->travel_by(*gpus_);
    say(gpus_ ? "gradients and weights go from GPU to GPU by NCCL"
              : fmt::format("gradients and weights go through the host's memory ({})", why_not));
  }

  distributed::Traffic traffic() const {
    distributed::Traffic all = ranks_.traffic();
    if (gpus_) all.bytes_sent += gpus_->traffic().bytes_sent, all.seconds += gpus_->traffic().seconds;
    return all;
  }

  void check_places() {
    const fs::path& folder = config_.checkpoint.folder;
    folder_.emplace(folder, "choose another checkpoint.folder");
    require_writable(folder / ".writable");
    require(options_.resume || list_checkpoints(folder).empty(),
            "{}: holds checkpoints of an earlier run; resume it, or choose another checkpoint.folder", folder.string());
    check_model_place(config_, options_.resume);
  }

  void loop() {
    const int64_t tokens_per_step = config_.train.batch * config_.data.length, begun = done();
    std::optional<ingrain::Progress> bar;
    if (ranks_.first())
      bar.emplace("training", static_cast<uint64_t>((config_.train.steps - begun) * tokens_per_step), "tokens");
    while (!trainer_->done() && !stop()) {
      const auto start = Clock::now();
      const distributed::Traffic before = traffic();
      const StepReport report = trainer_->advance();
      if (report.skipped)
        say(fmt::format("step {}: the loss or the gradient is not finite; step skipped ({} so far)", done(),
                        trainer_->counters().skipped));
      if (log_ && (done() % config_.log.every == 0 || trainer_->done() || report.skipped))
        log_->step(report, trainer_->counters(), seconds_since(start), ranks_.alone() ? nullptr : &before, traffic());
      if (bar)
        bar->update(static_cast<uint64_t>((done() - begun) * tokens_per_step),
                    fmt::format("step {}/{}  loss {:.4f}", done(), config_.train.steps, report.loss));
      if (trainer_->done()) break;
      if (config_.validation.every > 0 && done() % config_.validation.every == 0) {
        if (bar) bar->finish();
        validate();
      }
      // While steps are skipped there is nothing new, and what is older may be what to go back to.
      if (done() % config_.checkpoint.every == 0 && !report.skipped) checkpoint();
    }
  }

  fs::path checkpoint() {
    saved_ = save_checkpoint(*trainer_, log_ ? log_->bytes() : 0);
    return saved_;
  }

  void validate() {
    const auto reports = trainer_->validate([this] { return !asked_to_stop(); });
    if (!reports || !ranks_.first()) return;
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
  distributed::Communicator& ranks_;
  std::optional<NewFolder> folder_;  // of checkpoints
  std::unique_ptr<distributed::Communicator> gpus_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<RunLog> log_;
  fs::path saved_;
};

}  // namespace

RunEnd run_training(const RunConfig& config, const RunOptions& options) { return Run(config, options)(); }

}  // namespace ingrain::train
