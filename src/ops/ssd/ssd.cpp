#include "ops/ssd/ssd.h"

#include "ops/backend.h"
#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
namespace {

/// Fewer tokens than these are not worth a chunk's products.
constexpr int64_t kFewSsdTokens = 8;

void check_ssd(const SsdInputs& in) {
  const auto& [x, dt, A, b, c, D, state] = in;
  TORCH_CHECK(x.dim() == 4 && b.dim() == 4 && b.sizes() == c.sizes() &&
                  b.sizes().slice(0, 2) == x.sizes().slice(0, 2) && b.size(2) > 0 && x.size(2) % b.size(2) == 0 &&
                  alike(x, b) && alike(x, c),
              "ssd: inputs ", x.sizes(), ", b ", b.sizes(), " and c ", c.sizes(), " do not fit each other");
  TORCH_CHECK(dt.sizes() == x.sizes().slice(0, 3) && is_wide_beside(dt, x), "ssd: time steps ", dt.scalar_type(), " ",
              dt.sizes(), " must be a number a head of ", x.sizes(), ", fp32 (fp64 for fp64), on their device");
  for (const Tensor* of_heads : {&A, &D})
    TORCH_CHECK(of_heads->dim() == 1 && of_heads->size(0) == x.size(2) && is_wide_beside(*of_heads, x),
                "ssd: A and D, ", of_heads->scalar_type(), " ", of_heads->sizes(),
                ", must be a number for each head of ", x.sizes(), ", fp32 (fp64 for fp64), on their device");
  if (!state.defined()) return;
  const int64_t sizes[] = {x.size(0), x.size(2), b.size(3), x.size(3)};
  TORCH_CHECK(state.sizes() == at::IntArrayRef(sizes) && is_wide_beside(state, x), "ssd: a state ", state.scalar_type(),
              " ", state.sizes(), " must be ", at::IntArrayRef(sizes), ", fp32 (fp64 for fp64), on the inputs' device");
}

const SsdKernels& ssd_kernels(const SsdInputs& in) { return select(in.x_BTHV, ssd_reference, ssd_cpu, ssd_cuda); }

}  // namespace

Ssd ssd(const SsdInputs& inputs) {
  check_ssd(inputs);
  SsdInputs in = inputs;
  const Tensor& x = in.x_BTHV;
  if (!in.state_BHKV.defined())
    in.state_BHKV =
        captured([sizes = std::vector<int64_t>{x.size(0), x.size(2), in.b_BTGK.size(3), x.size(3)},
                  options = in.dt_BTH.options().requires_grad(false)] { return at::zeros(sizes, options); });
  if (x.size(1) >= kFewSsdTokens || needs_graph(x, in.dt_BTH, in.A_H, in.b_BTGK, in.c_BTGK, in.D_H, in.state_BHKV))
    return ssd_kernels(in).chunked(in);
  in.state_BHKV = captured([begin = in.state_BHKV] { return begin.clone(at::MemoryFormat::Contiguous); });
  return {ssd_kernels(in).recurrent(in), in.state_BHKV};
}

Tensor ssd_in_place(const SsdInputs& in) {
  TORCH_CHECK(in.state_BHKV.defined() && in.state_BHKV.is_contiguous(), "ssd_in_place: a contiguous state is needed");
  check_ssd(in);
  const at::NoGradGuard no_grad;
  return ssd_kernels(in).recurrent(in);
}

}  // namespace ingrain::ops
