// torch's reverse mode, without torch's headers of it, which are slow to compile.
#pragma once

#include "ops/aten.h"

#include <vector>

namespace ingrain::ops {

struct Reverse {
  bool keep_graph = false;    // for another call on the same outputs
  bool create_graph = false;  // the gradients have gradients (and the graph is kept)
  bool allow_unused = false;  // an input that no output depends on has an undefined gradient; an error otherwise
};

/// The gradient of each input: the sum over outputs of <cotangent, output>'s. Without cotangents the outputs are single
/// numbers. Runs on this thread for the CPU, on torch's for other devices.
std::vector<at::Tensor> gradients(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& inputs,
                                  const std::vector<at::Tensor>& cotangents = {}, Reverse how = {});

}  // namespace ingrain::ops
