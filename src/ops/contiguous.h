// Layout in memory, for operations that ask for one.
#pragma once

#include "ops/graph/captured.h"

namespace ingrain::ops {

/// x with its numbers side by side; itself where they are.
inline Tensor contiguous(const Tensor& x) {
  return x.is_contiguous() ? x : captured([=] { return x.contiguous(); });
}

}  // namespace ingrain::ops
