// Tensors that are streamed through from main memory, such as all weights for every token written.
#pragma once

#include "ops/dual.h"

#include <vector>

namespace ingrain::ops::cpu {

/// One piece of the CPU's memory for many tensors, in huge pages where the system gives them (Linux: unless transparent
/// huge pages are off). Reading it in order, memory comes up to twice as fast as from many small pages.
/// The memory lives as long as a tensor of it. Not thread-safe.
class Arena {
 public:
  /// What take() will need for such a tensor.
  static int64_t bytes_of(at::IntArrayRef sizes, at::ScalarType type);

  explicit Arena(int64_t bytes);
  /// The next tensor, uninitialised, on a boundary of 64 bytes. Throws c10::Error if there is no room.
  Tensor take(at::IntArrayRef sizes, at::ScalarType type);

 private:
  Tensor memory_;
  int64_t used_ = 0;
};

struct Shape {
  std::vector<int64_t> sizes;
  at::ScalarType type;
};
/// Uninitialised tensors of the CPU, in this order in an arena of their own.
std::vector<Tensor> empty_side_by_side(const std::vector<Shape>& shapes);

}  // namespace ingrain::ops::cpu
