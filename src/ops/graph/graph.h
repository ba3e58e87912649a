// The same work again and again, on tensors that stay where they are: a chunk's step, a token.
#pragma once

#include "ops/graph/capture.h"

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <type_traits>

namespace ingrain::ops {

/// An executable graph: what a backend makes of work that repeats.
class GraphExec {
 public:
  virtual ~GraphExec() = default;
  virtual void run(const std::function<void()>& work) = 0;
};

/// What makes the executable graphs of a type of device. A GPU's is a captured graph (graph/cuda.cpp), nullptr where
/// CUDA is not linked; the CPU's captures the kernels and launches them (graph/cpu.cpp).
using MakeGraphExec = std::unique_ptr<GraphExec> (*)(c10::Device);
std::unique_ptr<GraphExec> make_cpu_graph_exec(c10::Device device);
std::unique_ptr<GraphExec> make_cuda_graph_exec(c10::Device device);
/// For a device that libtorch got from outside, before anything computes there.
void register_graph_exec(c10::DeviceType type, MakeGraphExec make);
/// nullptr where the device's type has none, or a GPU no stream left: then the work is done anew every time.
std::unique_ptr<GraphExec> make_graph_exec(c10::Device device);

/// On a GPU the first run launches the work's kernels one by one, the second captures them as one CUDA graph, and from
/// then on a run is one launch. On a CPU the first run's kernels are captured, and later runs call nothing else; work
/// in fp64, or with operations of libtorch outside of captured(), is done anew every time. Not thread-safe. REQUIRES of
/// work: the same operations on the same tensors every time; nothing that waits for the device or reads from it; what
/// it allocates is read after it only until the next run, or forget(); no gradients into tensors from outside.
class Graph {
 public:
  explicit Graph(c10::Device device) : device_(device) { forget(); }

  void run(const std::function<void()>& work) { exec_ ? exec_->run(work) : work(); }
  /// The next run is a first one: after the work or its tensors have changed.
  void forget() {
    exec_.reset();  // what it holds, its successor may take
    exec_ = make_graph_exec(device_);
  }

 private:
  c10::Device device_;
  std::unique_ptr<GraphExec> exec_;
};

/// compute(): operations of libtorch, which return one tensor or change tensors that are there. A GPU's graph catches
/// them by itself; where the calling thread's work is captured on the CPU, they are done again in every run, into the
/// same tensor. `compute` holds by value what it needs.
template <class Compute>
auto captured(const Compute& compute) {
  cpu::Capture* const capture = cpu::Capture::current();
  const cpu::Capture::Scope aside(nullptr);
  if constexpr (std::is_void_v<std::invoke_result_t<Compute>>) {
    compute();
    if (capture) capture->add({}, 1, 1, [compute](int64_t, int64_t) { compute(); });
  } else {
    Tensor out = compute();
    if (capture) capture->add({out}, 1, 1, [compute, out](int64_t, int64_t) { out.copy_(compute()); });
    return out;
  }
}

}  // namespace ingrain::ops
