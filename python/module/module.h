// What the files of the Python module share: memories that one thread uses at a time, and computing without Python's
// lock.
#pragma once

#include "ingrain/ingrain.h"

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <atomic>

namespace py = pybind11;

namespace ingrain::python {

/// While it lives the thread computes: Python's other threads run, and the caller's torch.inference_mode(), whose
/// tensors cannot be differentiated, and torch.autocast(), which would change the types of single products, are off.
class Computing {
 public:
  Computing();
  ~Computing();
  Computing(const Computing&) = delete;
  Computing& operator=(const Computing&) = delete;

 private:
  py::gil_scoped_release released_;
  struct Mode;
  std::unique_ptr<Mode> mode_;
};

/// For keep_going: runs Python's signal handlers, so that Ctrl-C raises KeyboardInterrupt at a place where all is
/// whole.
bool no_signal();

/// What one call at a time may use, without waiting: a second one, from a callback or another thread, is refused.
template <class T>
struct Guarded {
  T value;
  std::atomic<bool> busy = false;
  explicit Guarded(T from) : value(std::move(from)) {}

  class Taken {
   public:
    explicit Taken(Guarded& of) : busy_(of.busy) {
      if (busy_.exchange(true))
        throw UsageError("this memory is at work in another call; wait for its end, or fork() the memory before");
    }
    ~Taken() { busy_ = false; }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;

   private:
    std::atomic<bool>& busy_;
  };

  template <class F>
  auto use(const F& f) {
    const Taken taken(*this);
    const Computing computing;
    return f(value);
  }
};

using SharedMemory = std::shared_ptr<Guarded<Memory>>;

void bind_notes(py::module_& module);
void bind_reading(py::module_& module);
void bind_tensors(py::module_& module);

}  // namespace ingrain::python
