#include "serve/engine/job.h"

namespace ingrain::serve {

size_t Job::tokens_to_read() const {
  size_t out = tokens.size() - tokens_known;
  for (const ReadPart& part : again) out += part.tokens.size();
  return out;
}

void Job::send(Event event) {
  {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  changed_.notify_one();
}

void Job::finish(std::exception_ptr error) {
  {
    std::lock_guard lock(mutex_);
    if (done_) return;
    done_ = true;
    error_ = std::move(error);
  }
  changed_.notify_one();
}

std::optional<Event> Job::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ || !events_.empty(); });
  if (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  if (error_) std::rethrow_exception(error_);
  return std::nullopt;
}

}  // namespace ingrain::serve
