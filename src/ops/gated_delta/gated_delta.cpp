#include "ops/gated_delta/gated_delta.h"

#include "ops/backend.h"
#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
namespace {

/// Fewer tokens than these are not worth a chunk's products.
constexpr int64_t kFewTokens = 8;

void check_gated_delta(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g, const Tensor& beta,
                       const Tensor& state) {
  TORCH_CHECK(q.dim() == 4 && q.sizes() == k.sizes() && v.dim() == 4 &&
                  v.sizes().slice(0, 3) == q.sizes().slice(0, 3) && alike(q, k) && alike(q, v),
              "gated_delta: queries ", q.sizes(), ", keys ", k.sizes(), " and values ", v.sizes(),
              " do not fit each other");
  for (const Tensor* gate : {&g, &beta})
    TORCH_CHECK(gate->sizes() == q.sizes().slice(0, 3) && is_wide_beside(*gate, q), "gated_delta: a gate ",
                gate->scalar_type(), " ", gate->sizes(), " must be a number a head of ", q.sizes(),
                ", fp32 (fp64 for fp64), on their device");
  if (!state.defined()) return;
  const int64_t sizes[] = {q.size(0), q.size(2), q.size(3), v.size(3)};
  TORCH_CHECK(state.sizes() == at::IntArrayRef(sizes) && is_wide_beside(state, q), "gated_delta: a state ",
              state.scalar_type(), " ", state.sizes(), " must be ", at::IntArrayRef(sizes),
              ", fp32 (fp64 for fp64), on the queries' device");
}

const GatedDeltaKernels& gated_delta_kernels(const Tensor& q) {
  return select(q, gated_delta_reference, gated_delta_cpu, gated_delta_cuda);
}

}  // namespace

GatedDelta gated_delta(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g, const Tensor& beta,
                       const Tensor& state, double scale) {
  check_gated_delta(q, k, v, g, beta, state);
  const Tensor begin_BHKV = captured([=] {
    return state.defined() ? state
                           : at::zeros({q.size(0), q.size(2), q.size(3), v.size(3)}, g.options().requires_grad(false));
  });
  if (q.size(1) >= kFewTokens || needs_graph(q, k, v, g, beta, begin_BHKV))
    return gated_delta_kernels(q).chunked(q, k, v, g, beta, begin_BHKV, scale);
  const Tensor end_BHKV = captured([=] { return begin_BHKV.clone(at::MemoryFormat::Contiguous); });
  return {gated_delta_kernels(q).recurrent(q, k, v, g, beta, end_BHKV, scale), end_BHKV};
}

Tensor gated_delta_in_place(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g, const Tensor& beta,
                            const Tensor& state_BHKV, double scale) {
  TORCH_CHECK(state_BHKV.defined() && state_BHKV.is_contiguous(), "gated_delta_in_place: a contiguous state is needed");
  check_gated_delta(q, k, v, g, beta, state_BHKV);
  const at::NoGradGuard no_grad;
  return gated_delta_kernels(q).recurrent(q, k, v, g, beta, state_BHKV, scale);
}

}  // namespace ingrain::ops
