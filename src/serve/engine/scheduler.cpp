#include "serve/engine/scheduler.h"

#include "base/clock.h"
#include "base/error.h"
#include "serve/engine/worker.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

using Clock = std::chrono::steady_clock;

/// The chunk, as long as a slice is neither too short to be fast nor so long that it stalls others.
int64_t slice_of(const Model& model, int64_t wanted) {
  return wanted > 0 ? wanted : std::clamp<int64_t>(model.chunk(), 64, 512);
}

}  // namespace

Scheduler::Scheduler(const Model& model, States& states, const EngineOptions& options)
    : options_(options), thread_([this, model, &states] { run(model, states); }) {}

Scheduler::~Scheduler() { finish(0); }

void Scheduler::submit(std::shared_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) throw Busy("the server is stopping");
    if (static_cast<int64_t>(waiting_.size()) >= options_.max_waiting)
      throw Busy(fmt::format("{} requests wait already; try again", waiting_.size()));
    waiting_.push_back({std::move(job), Clock::now()});
  }
  changed_.notify_all();
}

std::vector<std::shared_ptr<Job>> Scheduler::take(int64_t running, bool idle) {
  std::unique_lock lock(mutex_);
  if (idle) changed_.wait(lock, [&] { return !waiting_.empty() || ended_; });
  std::vector<std::shared_ptr<Job>> out;
  while (!waiting_.empty() && running + static_cast<int64_t>(out.size()) < options_.max_running) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    next.job->seconds_queued = seconds_since(next.since);
    begun_.push_back(next.job);
    out.push_back(std::move(next.job));
  }
  stats_.running = running + static_cast<int64_t>(out.size());
  std::erase_if(begun_, [](const std::weak_ptr<Job>& job) { return job.expired(); });
  return out;
}

void Scheduler::run(const Model& model, States& states) {
  Worker worker(model, states, slice_of(model, options_.read_slice));
  while (true) {
    for (const auto& job : take(worker.jobs(), worker.idle())) worker.begin(job);
    if (worker.idle()) {
      std::lock_guard lock(mutex_);
      if (ended_ && waiting_.empty()) return;
      continue;
    }
    worker.step();
    std::lock_guard lock(mutex_);
    stats_.tokens_read = worker.counts().read;
    stats_.tokens_written = worker.counts().written;
    stats_.inner_steps = worker.counts().steps;
    stats_.seconds_computing = worker.counts().seconds;
    stats_.running = worker.jobs();
    if (worker.idle()) changed_.notify_all();
  }
}

void Scheduler::finish(double grace_seconds) {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.wait_for(lock, std::chrono::duration<double>(grace_seconds),
                      [&] { return waiting_.empty() && stats_.running == 0; });
    for (const Waiting& waiting : waiting_) waiting.job->cancelled = true;
    for (const std::weak_ptr<Job>& begun : begun_)
      if (const auto job = begun.lock()) job->cancelled = true;
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Scheduler::count(EngineStats& stats) const {
  std::lock_guard lock(mutex_);
  stats.tokens_read = stats_.tokens_read;
  stats.tokens_written = stats_.tokens_written;
  stats.inner_steps = stats_.inner_steps;
  stats.seconds_computing = stats_.seconds_computing;
  stats.running = stats_.running;
  stats.waiting = static_cast<int64_t>(waiting_.size());
}

}  // namespace ingrain::serve
