#include "serve/http/workers.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace ingrain::serve {

Workers::Workers(size_t most) : most_(most) { threads_.reserve(most); }

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Workers::run(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (stop_) return false;
  // A thread that waits, or a new one: never a place in a queue behind somebody's long answer.
  if (busy_ == threads_.size()) {
    if (threads_.size() == most_) return false;
    try {
      threads_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  queue_.push_back(std::move(work));
  ++busy_;
  work_.notify_one();
  return true;
}

bool Workers::wait_idle(double seconds) {
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> limit(std::min(seconds, 1e6));
  return idle_.wait_for(lock, limit, [&] { return busy_ == 0; });
}

void Workers::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
    if (--busy_ == 0) idle_.notify_all();
  }
}

}  // namespace ingrain::serve
