// The same work again and again, on tensors that stay where they are (a chunk's step, a token): captured once, launched
// from then on. Formulas need not know of it: what they call are operations, which can be captured.
#pragma once

#include "ops/dual.h"

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>

namespace ingrain::ops {

/// An executable graph: what a backend makes of work that repeats.
class GraphExec {
 public:
  virtual ~GraphExec() = default;
  virtual void run(const std::function<void()>& work) = 0;
  /// Whether a run is one launch by now.
  virtual bool captured() const = 0;
  /// What could not be captured; empty: nothing.
  virtual std::string refusal() const { return {}; }
};

/// What makes the executable graphs of a type of device. A GPU's is a captured CUDA graph (graph/cuda.cpp), nullptr
/// where CUDA is not linked (graph/no_cuda.cpp); the CPU's captures the kernels and launches them (graph/cpu.cpp).
using MakeGraphExec = std::unique_ptr<GraphExec> (*)(c10::Device);
std::unique_ptr<GraphExec> make_cpu_graph_exec(c10::Device device);
std::unique_ptr<GraphExec> make_cuda_graph_exec(c10::Device device);
/// For a device that libtorch got from outside, before anything computes there.
void register_graph_exec(c10::DeviceType type, MakeGraphExec make);
/// nullptr where the device's type has none, or a GPU no stream left: then the work is done anew every time.
std::unique_ptr<GraphExec> make_graph_exec(c10::Device device);

/// On a GPU the first run launches the work's kernels one by one, the second captures them as one CUDA graph, and from
/// then on a run is one launch. On a CPU the first run's kernels are captured, and later runs call nothing else; work
/// in fp64, or with operations of libtorch that are none of ours, is done anew every time, and refusal() names them.
/// Not thread-safe. REQUIRES of work: the same operations on the same tensors every time; nothing that waits for the
/// device or reads from it; what it allocates is read after it only until the next run, or forget(); no gradients into
/// tensors from outside.
class Graph {
 public:
  explicit Graph(c10::Device device) : device_(device) { forget(); }

  void run(const std::function<void()>& work) { exec_ ? exec_->run(work) : work(); }
  /// The next run is a first one: after the work or its tensors have changed.
  void forget() {
    exec_.reset();  // what it holds, its successor may take
    exec_ = make_graph_exec(device_);
  }

  /// Whether a run is one launch by now.
  bool captured() const { return exec_ && exec_->captured(); }
  /// Why every run is done anew, kernel by kernel: "aten::mul cannot be part of a graph". Empty where
  /// nothing stands against a capture.
  std::string refusal() const;

 private:
  c10::Device device_;
  std::unique_ptr<GraphExec> exec_;
};

}  // namespace ingrain::ops
