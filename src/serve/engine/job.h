// What a caller's thread and the computing thread have in common: a text to read, and answers to write after it.
#pragma once

#include "serve/engine/states.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>

namespace ingrain::serve {

/// Made by the caller, then given to the scheduler, which alone writes the results; the caller reads them once done()
/// says so, and events as they come.
class Job {
 public:
  // What is asked for; not changed once submitted.
  Root root;
  NodePtr from;                               // nullptr: the model as it is
  std::shared_ptr<const ttt::Memory> memory;  // of `from`, or States::Found's; let go of once it was copied
  std::vector<ReadPart> again;                // to read after `memory`, which is then that of `from`
  std::vector<int32_t> tokens;                // to read after it
  size_t shared = 0;  // after so many of them a state is kept, because other texts go on there; 0: none
  /// Where a state that another job has left meanwhile may stand in for reading: after so many of the tokens, the most
  /// first, and the hash of the text up to there.
  struct Beginning {
    size_t tokens;
    TextHash hash;
  };
  std::vector<Beginning> beginnings;
  std::vector<int32_t> seen;  // of the prompt's tokens, those that count for penalties
  bool reads_end = true;      // an end-of-text token, too: templates write it, nothing else has it
  bool writes = true;         // otherwise it only reads, and `result` is what the memory has become
  Writing writing;
  GenerateOptions how;  // writing's part that a TextWriter takes

  std::atomic<bool> cancelled = false;

  /// What is read of all this.
  size_t tokens_to_read() const;

  // Results.
  struct Written {
    NodePtr after;                              // the state whose text it goes on
    std::shared_ptr<const ttt::Memory> memory;  // after it; nullptr: it came to no writing
    std::vector<int32_t> tokens;
    std::string text;
    StopReason reason = StopReason::interrupted;
    size_t read = 0;  // of the tokens, the first so many are in the memory: not those of a stop string
  };
  std::vector<Written> written;
  std::optional<ttt::Memory> result;
  size_t tokens_known = 0;  // of `tokens`, those that another job had read by the time of their turn
  int64_t tokens_read = 0, steps = 0;
  double nll_sum = 0, seconds_queued = 0, seconds_reading = 0, seconds_writing = 0;
  int64_t nll_count = 0;
  bool stopped_reading = false;

  // The computing thread's part.
  void send(Event event);
  /// The first call counts.
  void finish(std::exception_ptr error = nullptr);
  // The caller's: the next event; nothing once all is done. Rethrows what ended the job.
  std::optional<Event> next();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  bool done_ = false;
  std::exception_ptr error_;
};

}  // namespace ingrain::serve
