// The same work again and again, on tensors that stay where they are: a chunk's step, a token.
#pragma once

#include "ops/graph/recording.h"

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <type_traits>

namespace ingrain::ops {

/// What a backend makes of work that repeats.
class Replayer {
 public:
  virtual ~Replayer() = default;
  virtual void run(const std::function<void()>& work) = 0;
};

/// What makes the replayers of a type of device. A GPU's is a captured graph (cuda/graph.cpp), nullptr where CUDA is
/// not linked; the CPU's records the kernels and replays them (cpu/replayer.cpp).
using MakeReplayer = std::unique_ptr<Replayer> (*)(c10::Device);
std::unique_ptr<Replayer> make_cpu_replayer(c10::Device device);
std::unique_ptr<Replayer> make_cuda_replayer(c10::Device device);
/// For a device that libtorch got from outside, before anything computes there.
void register_replayer(c10::DeviceType type, MakeReplayer make);
/// nullptr where the device's type has none, or a GPU no stream left: then the work is done anew every time.
std::unique_ptr<Replayer> make_replayer(c10::Device device);

/// On a GPU the first run launches the work's kernels one by one, the second captures them as one CUDA graph, and from
/// then on a run is one launch. On a CPU the first run's kernels are recorded, and later runs call nothing else; work
/// in fp64, or with operations of libtorch outside of again(), is done anew every time. Not thread-safe. REQUIRES of
/// work: the same operations on the same tensors every time; nothing that waits for the device or reads from it; what
/// it allocates is read after it only until the next run, or forget(); no gradients into tensors from outside.
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

/// compute(): operations of libtorch, which return one tensor or change tensors that are there. A GPU's graph catches
/// them by itself; where the calling thread's work is recorded on the CPU, they are done again in every run, into the
/// same tensor. `compute` holds by value what it needs.
template <class Compute>
auto again(const Compute& compute) {
  cpu::Recording* const recording = cpu::Recording::current();
  const cpu::Recording::Scope aside(nullptr);
  if constexpr (std::is_void_v<std::invoke_result_t<Compute>>) {
    compute();
    if (recording) recording->add({}, 1, 1, [compute](int64_t, int64_t) { compute(); });
  } else {
    Tensor out = compute();
    if (recording) recording->add({out}, 1, 1, [compute, out](int64_t, int64_t) { out.copy_(compute()); });
    return out;
  }
}

}  // namespace ingrain::ops
