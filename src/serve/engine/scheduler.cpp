#include "serve/engine/scheduler.h"

#include "base/allocator.h"
#include "base/clock.h"
#include "base/error.h"
#include "serve/engine/worker.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kIdle{1};
constexpr std::chrono::seconds kGiveBackEvery{2};

/// The chunk, as long as a slice is neither too short to be fast nor so long that it stalls others.
int64_t slice_of(const Model& model, int64_t wanted) {
  return wanted > 0 ? wanted : std::clamp<int64_t>(model.chunk(), 64, 512);
}

}  // namespace

Scheduler::Scheduler(const Model& model, States& states, const EngineOptions& options)
    : options_(options),
      places_(options.max_running + std::min(options.max_waiting, std::max<int64_t>(1, options.max_running / 8))),
      working_budget_(options.memory_budget / 8 * 7),
      resident_first_(resident_bytes()),
      thread_([this, model, &states] { run(model, states); }) {}

Scheduler::~Scheduler() { finish(0); }

Scheduler::Place::Place(Scheduler& scheduler) : scheduler_(scheduler), since_(Clock::now()) { scheduler_.enter(); }

Scheduler::Place::~Place() { scheduler_.leave(); }

void Scheduler::enter() {
  std::unique_lock lock(mutex_);
  if (stopping_) throw Busy("the server is stopping");
  if (placed_ >= places_ || !in_line_.empty()) {
    const size_t wait = waiting_.size() + in_line_.size();
    if (static_cast<int64_t>(wait) >= options_.max_waiting)
      throw Busy(fmt::format("{} requests wait already; try again", wait));
    const int64_t ticket = ++tickets_;
    in_line_.push_back(ticket);
    place_free_.wait(lock, [&] { return ended_ || (placed_ < places_ && in_line_.front() == ticket); });
    std::erase(in_line_, ticket);
    if (ended_) throw Busy("the server is stopping");
  }
  ++placed_;
  place_free_.notify_all();  // there may be another place, for the next in line
}

void Scheduler::leave() {
  std::lock_guard lock(mutex_);
  --placed_;
  place_free_.notify_all();
  if (placed_ == 0) changed_.notify_all();
}

void Scheduler::submit(std::shared_ptr<Job> job, const Place& place) {
  {
    std::lock_guard lock(mutex_);
    if (ended_) throw Busy("the server is stopping");
    waiting_.push_back({std::move(job), place.since()});
  }
  changed_.notify_all();
}

/// Until there is a job, or all is over. What was freed goes back to the kernel once nothing has changed for a while.
void Scheduler::rest(std::unique_lock<std::mutex>& lock, States& states) {
  const auto due = [&] { return !waiting_.empty() || ended_; };
  const auto changed = [&] { return due() || outside_bytes_ != outside_seen_; };
  for (bool given_back = !options_.on_idle; !due();) {
    if (given_back) {
      changed_.wait(lock, changed);
    } else if (!changed_.wait_for(lock, kIdle, changed)) {
      lock.unlock();
      options_.on_idle();
      lock.lock();
      given_back = true;
    }
    if (outside_bytes_ == outside_seen_) continue;
    tell_outside(lock, states);
    given_back = !options_.on_idle;
  }
}

void Scheduler::tell_outside(std::unique_lock<std::mutex>& lock, States& states) {
  const uint64_t bytes = outside_seen_ = outside_bytes_;
  lock.unlock();
  states.set_outside_bytes(bytes);
  lock.lock();
}

void Scheduler::set_outside_bytes(uint64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    outside_bytes_ = bytes;
  }
  changed_.notify_all();
}

std::vector<std::shared_ptr<Job>> Scheduler::take(const Worker& worker, States& states) {
  const int64_t running = worker.jobs();
  std::unique_lock lock(mutex_);
  if (outside_bytes_ != outside_seen_) tell_outside(lock, states);
  if (worker.idle()) rest(lock, states);
  const uint64_t budget = working_budget_ - std::min(working_budget_, outside_bytes_);
  std::vector<std::shared_ptr<Job>> out;
  uint64_t bytes = worker.expected_bytes();
  while (!waiting_.empty() && running + static_cast<int64_t>(out.size()) < options_.max_running) {
    bytes += worker.expected_bytes(*waiting_.front().job);
    if (running + static_cast<int64_t>(out.size()) > 0 && bytes > budget) break;
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
    for (const auto& job : take(worker, states)) worker.begin(job);
    if (worker.idle()) {
      std::lock_guard lock(mutex_);
      if (ended_ && waiting_.empty()) return;
      continue;
    }
    worker.step();
    give_back();
    std::lock_guard lock(mutex_);
    stats_.tokens_read = worker.counts().read;
    stats_.tokens_written = worker.counts().written;
    stats_.inner_steps = worker.counts().steps;
    stats_.seconds_computing = worker.counts().seconds;
    stats_.running = worker.jobs();
    if (worker.idle()) changed_.notify_all();
  }
}

/// The allocator keeps what was freed; under load, too, no more of it than the budget has room for.
void Scheduler::give_back() {
  const Clock::time_point now = Clock::now();
  if (!options_.on_idle || now - given_back_ < kGiveBackEvery) return;
  given_back_ = now;
  if (resident_bytes() > resident_first_ + options_.memory_budget) options_.on_idle();
}

void Scheduler::finish(double grace_seconds) {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.wait_for(lock, std::chrono::duration<double>(grace_seconds),
                      [&] { return in_line_.empty() && placed_ == 0 && stats_.running == 0; });
    for (const Waiting& waiting : waiting_) waiting.job->cancelled = true;
    for (const std::weak_ptr<Job>& begun : begun_)
      if (const auto job = begun.lock()) job->cancelled = true;
    ended_ = true;
  }
  changed_.notify_all();
  place_free_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Scheduler::count(EngineStats& stats) const {
  std::lock_guard lock(mutex_);
  stats.tokens_read = stats_.tokens_read;
  stats.tokens_written = stats_.tokens_written;
  stats.inner_steps = stats_.inner_steps;
  stats.seconds_computing = stats_.seconds_computing;
  stats.running = stats_.running;
  stats.waiting = static_cast<int64_t>(waiting_.size() + in_line_.size());
}

}  // namespace ingrain::serve
