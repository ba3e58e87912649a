// The GPU that an operation's tensors are on: made current, and its stream.
#pragma once

#include "ops/cuda/types.h"

namespace ingrain::ops::cuda {

/// Makes a GPU the calling thread's current one while it lives; the one before comes back afterwards. The process's
/// first also asks libtorch for products in full precision (precision.h).
class DeviceScope {
 public:
  explicit DeviceScope(int index);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

  /// libtorch's current stream on this GPU: what every kernel is launched on.
  Stream stream() const;
  /// Bytes of shared memory that one block may ask for.
  size_t shared_memory() const;

 private:
  int index_, previous_;
};

}  // namespace ingrain::ops::cuda
