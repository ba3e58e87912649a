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

  /// A caller's place. He waits for it with nothing but his prompt, and looks for what is known of that and loads it
  /// once he has it: so memories of those who wait are not in RAM, and what answers before theirs left behind is known.
  class Place {
   public:
    /// Busy if too many wait, or it is stopping.
    explicit Place(Scheduler& scheduler);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place();
    std::chrono::steady_clock::time_point since() const { return since_; }

   private:
    Scheduler& scheduler_;
    std::chrono::steady_clock::time_point since_;
  };

  /// REQUIRES: the caller has this place until the job is done. Busy if it has stopped meanwhile.
  void submit(std::shared_ptr<Job> job, const Place& place);
  /// Takes no more; after so many seconds, what still runs ends where it is. Returns once all has ended.
  void finish(double grace_seconds);
  void count(EngineStats& stats) const;
  /// Engine's.
  void set_outside_bytes(uint64_t bytes);

 private:
  void run(const Model& model, States& states);
  void give_back();
  void enter();
  void leave();
  /// The next jobs that may begin; waits for one if the worker is idle. Nothing more once it is over.
  std::vector<std::shared_ptr<Job>> take(const Worker& worker, States& states);
  void rest(std::unique_lock<std::mutex>& lock, States& states);
  void tell_outside(std::unique_lock<std::mutex>& lock, States& states);

  struct Waiting {
    std::shared_ptr<Job> job;
    std::chrono::steady_clock::time_point since;
  };
  const EngineOptions options_;
  const int64_t places_;           // some more than run at once, so that the next ones are loaded by then
  const uint64_t working_budget_;  // of what is in work; states have the rest of RAM's
  mutable std::mutex mutex_;
  std::condition_variable changed_, place_free_;
  std::deque<int64_t> in_line_;  // tickets of those who wait for a place
  int64_t tickets_ = 0, placed_ = 0;
  std::deque<Waiting> waiting_;
  std::vector<std::weak_ptr<Job>> begun_;
  uint64_t outside_bytes_ = 0, outside_seen_ = 0;  // seen: by the states
  bool stopping_ = false, ended_ = false;
  EngineStats stats_;
  const uint64_t resident_first_;                     // bytes of the process before any work
  std::chrono::steady_clock::time_point given_back_;  // the computing thread's
  std::thread thread_;
};

}  // namespace ingrain::serve
