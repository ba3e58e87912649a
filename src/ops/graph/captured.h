// For operations that are made of libtorch's own: how those become part of a captured graph (graph.h).
#pragma once

#include "ops/graph/capture.h"

#include <type_traits>

namespace ingrain::ops {

/// compute(): operations of libtorch, which return one tensor or change tensors that are there. A GPU's graph catches
/// them by itself; where the calling thread's work is captured on the CPU, they are done again in every launch, into
/// the same tensor. `compute` holds by value what it needs.
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
