#include "ops/graph/team_size.h"

#include <algorithm>

namespace ingrain::ops::cpu {
namespace {

using std::chrono::milliseconds;

// Some time slices of the system's scheduler, which are 3 to 4 ms where two want one core.
constexpr milliseconds kWindow{20};
constexpr int64_t kLaunches = 4;  // at least
constexpr double kMuchWaiting = 0.25;
constexpr double kWorthFewer = 0.95;  // of the time with more
constexpr milliseconds kRest{100}, kLongestRest{3200};

double seconds(TeamSize::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

int64_t TeamSize::threads(int64_t most) {
  if (most != most_) {
    *this = {};
    most_ = size_ = most;
    rest_ = kRest;
  }
  return trial_ > 0 ? trial_ : size_;
}

void TeamSize::add(Clock::time_point now, Clock::duration took, Clock::duration waited) {
  ++launches_;
  took_ += took;
  waited_ += waited;
  if (launches_ < kLaunches || took_ < kWindow) return;
  decide(now, seconds(took_) / static_cast<double>(launches_), seconds(waited_) / seconds(took_));
  launches_ = 0;
  took_ = waited_ = {};
}

void TeamSize::decide(Clock::time_point now, double mean, double waited) {
  if (trial_ > 0) {
    const bool better = mean < (trial_ < size_ ? kWorthFewer : 1) * mean_;
    if (better) {
      size_ = trial_;
      mean_ = mean;
    } else if (trial_ < size_ && trial_ > 1 && waited > kMuchWaiting) {
      trial_ /= 2;  // still more than there are cores for
      return;
    }
    trial_ = 0;
    rest_ = better ? kRest : std::min<Clock::duration>(2 * rest_, kLongestRest);
    next_trial_ = now + rest_;
    return;
  }
  mean_ = mean;
  if (now < next_trial_) return;
  if (size_ > 1 && waited > kMuchWaiting)
    trial_ = size_ / 2;
  else if (size_ < most_)
    trial_ = size_ + (most_ - size_ + 1) / 2;
}

}  // namespace ingrain::ops::cpu
