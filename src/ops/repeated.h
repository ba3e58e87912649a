// The same work again and again, on tensors that stay where they are: a chunk's step, a token.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace ingrain::ops {

/// What a backend makes of work that repeats.
class Replayer {
 public:
  virtual ~Replayer() = default;
  virtual void run(const std::function<void()>& work) = 0;
};

/// What makes the replayers of a type of device. A GPU's is a captured graph (cuda/graph.cpp); nullptr where CUDA is not linked.
using MakeReplayer = std::unique_ptr<Replayer> (*)(c10::Device);
std::unique_ptr<Replayer> make_cuda_replayer(c10::Device device);
/// For a device that libtorch got from outside, before anything computes there.
void register_replayer(c10::DeviceType type, MakeReplayer make);
/// nullptr where the device's type has none.
std::unique_ptr<Replayer> make_replayer(c10::Device device);

/// On a GPU the first run launches the work's kernels one by one, the second captures them as one CUDA graph, and from then
/// on a run is one launch. On a CPU every run does the work. Not thread-safe.
/// REQUIRES of work: the same operations on the same tensors every time; nothing that waits for the device or reads from
/// it; what it allocates is read after it only until the next run, or forget(); no gradients into tensors from outside.
class Repeated {
 public:
  explicit Repeated(c10::Device device) : device_(device) { forget(); }

  void run(const std::function<void()>& work) { replayer_ ? replayer_->run(work) : work(); }
  /// The next run is a first one: after the work or its tensors have changed.
  void forget() {
    replayer_.reset();  // what it holds, its successor may take
    replayer_ = make_replayer(device_);
  }

 private:
  c10::Device device_;
  std::unique_ptr<Replayer> replayer_;
};

}  // namespace ingrain::ops
