// The one thread that computes: reads prompts slice by slice, and lets all that write make a step together.
#pragma once

#include "serve/engine/job.h"

#include <thread>

namespace ingrain::serve {

class Worker;

/// Thread-safe.
class Scheduler {
 public:
  Scheduler(const Model& model, States& states, const EngineOptions& options);
  ~Scheduler();  // finish(0)

  /// Busy if too many wait, or it is stopping.
  void submit(std::shared_ptr<Job> job);
  /// Takes no more; after so many seconds, what still runs ends where it is. Returns once all has ended.
  void finish(double grace_seconds);
  void count(EngineStats& stats) const;

 private:
  void run(const Model& model, States& states);
  /// The next jobs that may begin; waits for one if `idle`. Nothing more once it is over.
  std::vector<std::shared_ptr<Job>> take(int64_t running, bool idle);

  struct Waiting {
    std::shared_ptr<Job> job;
    std::chrono::steady_clock::time_point since;
  };
  const EngineOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  std::vector<std::weak_ptr<Job>> begun_;
  bool stopping_ = false, ended_ = false;
  EngineStats stats_;
  std::thread thread_;
};

}  // namespace ingrain::serve
