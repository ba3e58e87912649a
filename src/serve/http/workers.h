// Threads for work that blocks: one for each piece, kept for the next.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ingrain::serve {

/// All members may be called by many threads at once, but by none of its own.
class Workers {
 public:
  explicit Workers(size_t most);
  ~Workers();  // waits for what runs

  /// Starts `work`, which must not throw, at once; false if `most` threads are busy or the system gives no more.
  bool run(std::function<void()> work);
  /// Waits until nothing runs, but so long at most; whether nothing runs.
  bool wait_idle(double seconds);

 private:
  void serve();

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable work_, idle_;
  std::deque<std::function<void()>> queue_;
  std::vector<std::thread> threads_;
  size_t busy_ = 0;  // pieces that wait or run; at most threads_.size()
  bool stop_ = false;
};

}  // namespace ingrain::serve
