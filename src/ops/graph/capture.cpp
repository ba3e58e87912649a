#include "ops/graph/capture.h"

#include <ATen/Parallel.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace ingrain::ops::cpu {
namespace {

/// Where the threads of a team meet. A thread may sit on several of its seats.
class Gate {
 public:
  explicit Gate(int64_t seats) : seats_(seats) {}

  /// Returns when everyone has come: how long that took, if it was long.
  TeamSize::Clock::duration pass(int64_t seats) {
    const uint32_t turn = turn_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(seats, std::memory_order_acq_rel) + seats == seats_) {
      arrived_.store(0, std::memory_order_relaxed);
      // Sequentially consistent: notify_all() may look for sleepers before a weaker store is seen, and miss one.
      turn_.store(turn + 1, std::memory_order_seq_cst);
      turn_.notify_all();
      return {};
    }
    const auto passed = [&] { return turn_.load(std::memory_order_acquire) != turn; };
    for (int i = 1; i < kPolite; ++i) {
      if (passed()) return {};
      hwy::Pause();
    }
    const auto start = TeamSize::Clock::now();
    for (int i = kPolite; i <= kPatience && !passed(); ++i) {
      if (i % kPolite == 0)
        std::this_thread::yield();
      else
        hwy::Pause();
    }
    while (!passed()) turn_.wait(turn, std::memory_order_acquire);
    return TeamSize::Clock::now() - start;
  }

 private:
  // Some milliseconds: on a virtual machine a thread that slept may come back only after 30. Now and then the core is
  // offered to others, whom we may be waiting for.
  static constexpr int kPatience = 300000, kPolite = 1024;
  const int64_t seats_;
  alignas(64) std::atomic<int64_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> turn_{0};
};

/// The first exception of any thread; after it nothing runs.
class Failure {
 public:
  template <class Run>
  void guard(const Run& run) {
    if (failed_.load(std::memory_order_relaxed)) return;
    try {
      run();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_.exchange(true)) what_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (what_) std::rethrow_exception(what_);
  }

 private:
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr what_;
};

}  // namespace

constinit thread_local Capture* Capture::current_ = nullptr;

Capture::Scope::Scope(Capture* capture) : outer_(current_) { current_ = capture; }

void Capture::add(std::initializer_list<Tensor> operands, int64_t items, int64_t grain, Run run) {
  if (items > 0) steps_.push_back({operands, items, std::max<int64_t>(grain, 1), std::move(run)});
}

void Capture::refuse(const char* operation) {
  if (refusal_.empty()) refusal_ = operation;
}

int64_t Capture::Step::parts(int64_t most) const { return std::clamp<int64_t>(items / grain, 1, most); }

void Capture::launch() {
  const auto start = TeamSize::Clock::now();
  // Only OpenMP's teams run all at the same time.
  const bool all_at_once = AT_PARALLEL_OPENMP && !at::in_parallel_region();
  const int64_t seats = team_.threads(all_at_once ? at::get_num_threads() : 1);
  Gate gate(seats);
  Failure failure;
  std::atomic<TeamSize::Clock::rep> longest{0};
  at::parallel_for(0, seats, 1, [&](int64_t begin, int64_t end) {
    TeamSize::Clock::duration waited{};
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      const int64_t parts = step.parts(seats);
      for (int64_t seat = begin; seat < std::min(end, parts); ++seat)
        failure.guard([&] { step.run(step.items * seat / parts, step.items * (seat + 1) / parts); });
      // What one thread does after another thing that it did alone needs no meeting.
      const bool goes_on_alone = parts == 1 && i + 1 < steps_.size() && steps_[i + 1].parts(seats) == 1;
      if (!goes_on_alone) waited += gate.pass(end - begin);
    }
    auto most = longest.load();
    while (most < waited.count() && !longest.compare_exchange_weak(most, waited.count())) {}
  });
  failure.rethrow();
  const auto now = TeamSize::Clock::now();
  team_.add(now, now - start, TeamSize::Clock::duration(longest.load()));
}

}  // namespace ingrain::ops::cpu
