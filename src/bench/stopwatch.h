// Wall-clock time of work on a device.
#pragma once

#include <c10/core/Device.h>

#include <chrono>

namespace ingrain::bench {

/// Returns when everything that was queued on a GPU has run. On the CPU operations have run when they return.
void wait_for(at::Device device);

/// Starts when what was queued before is done, and is read when what was queued since is.
class Stopwatch {
 public:
  explicit Stopwatch(at::Device device) : device_(device) {
    wait_for(device);
    start_ = Clock::now();
  }

  double seconds() const {
    wait_for(device_);
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  at::Device device_;
  Clock::time_point start_;
};

}  // namespace ingrain::bench
