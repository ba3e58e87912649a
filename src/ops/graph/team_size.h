// How many threads launch a capture: fewer while the machine has no core for each of them. A thread that another
// program has put off its core keeps all others waiting at the next gate, so that two threads can be slower than one.
#pragma once

#include <chrono>
#include <cstdint>

namespace ingrain::ops::cpu {

/// Learnt from the launches of one capture, whose times are alike. Where threads stand at gates for much of the time,
/// half of them are tried for a while (and half of those, if they wait as well), and stay if that is quicker; later
/// more are tried again. Not thread-safe.
class TeamSize {
 public:
  using Clock = std::chrono::steady_clock;

  /// Threads of the next launch, 1 .. most.
  int64_t threads(int64_t most);
  /// What that launch took, until `now`, and how long the thread that waited longest stood at gates.
  void add(Clock::time_point now, Clock::duration took, Clock::duration waited);

 private:
  void decide(Clock::time_point now, double mean, double waited);

  int64_t most_ = 0, size_ = 0, trial_ = 0;  // trial: 0, none
  double mean_ = 0;                          // seconds a launch of size_
  Clock::time_point next_trial_{};
  Clock::duration rest_{};  // until then
  // Launches since the last decision.
  int64_t launches_ = 0;
  Clock::duration took_{}, waited_{};
};

}  // namespace ingrain::ops::cpu
