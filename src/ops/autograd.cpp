#include "ops/autograd.h"

#include <torch/csrc/autograd/autograd.h>

namespace ingrain::ops {

std::vector<at::Tensor> gradients(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& inputs,
                                  const std::vector<at::Tensor>& cotangents, Reverse how) {
  return torch::autograd::grad(outputs, inputs, cotangents, how.keep_graph || how.create_graph, how.create_graph,
                               how.allow_unused);
}

}  // namespace ingrain::ops
