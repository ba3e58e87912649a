// A CUDA graph, acted out: the graph_exec (ops/graph/graph.h) of the device that device.h acts out. The first run is an
// ordinary one; the second notes every operation that reaches the device; later ones do these again, on the same
// tensors, without calling the work. What would differ from run to run on the host alone is therefore frozen, as in a
// graph: a number, a shape, a tensor.
#pragma once

#include "ops/aten.h"

#include <functional>

namespace ingrain::test {

/// How many runs so far were replays.
int64_t replays();

// For device.cpp, which tells what reaches the device. Any thread may: backward passes have their own.

/// While it lives, what the calling thread does on the device is part of one operation that is noted as a whole, or not
/// at all.
class WithinOperation {
 public:
  WithinOperation();
  ~WithinOperation();
  WithinOperation(const WithinOperation&) = delete;
  WithinOperation& operator=(const WithinOperation&) = delete;
};

/// Whether an operation of the calling thread is to be noted.
bool recording();
/// Notes what to do again.
void record(std::function<void()> again);
/// Error while recording: what a capture does not allow.
void not_while_recording(const char* what);
/// The same, if `storage` was there before the recording.
void not_from_outside(const char* what, const void* storage);
/// Memory that was made.
void allocated(void* storage);

}  // namespace ingrain::test
