#include "ops/swiglu/swiglu.h"

#include "ops/checks.h"
#include "ops/backend.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ingrain::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const SwigluKernels& swiglu_kernels(const Tensor& ab) { return select(ab, swiglu_reference, swiglu_cpu, swiglu_cuda); }

struct SwigluFunction : torch::autograd::Function<SwigluFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& ab, Gate gate) {
    ctx->save_for_backward({ab});
    ctx->saved_data["gate"] = static_cast<int64_t>(gate);
    return swiglu_kernels(ab).forward(ab, gate);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor ab = ctx->get_saved_variables()[0];
    const Gate gate = static_cast<Gate>(ctx->saved_data["gate"].toInt());
    return {swiglu_kernels(ab).backward(grads[0].contiguous(), ab, gate), Tensor()};
  }
};

}  // namespace

Tensor swiglu(const Tensor& ab, Gate gate) {
  TORCH_CHECK(ab.dim() >= 2 && (planes(ab) == 1 || planes(ab) == 2) && ab.size(-1) % 2 == 0, "swiglu: ", ab.sizes(),
              " is not one or two planes of rows with two halves");
  if (!needs_graph(ab)) return swiglu_kernels(ab).forward(ab, gate);
  return SwigluFunction::apply(ab, gate);
}

}  // namespace ingrain::ops
