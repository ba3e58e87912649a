#include "ops/erase_write/erase_write.h"

#include "ops/backend.h"
#include "ops/checks.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
namespace {

/// Fewer tokens than these are not worth a chunk's products.
constexpr int64_t kFewEraseWriteTokens = 8;

void check_erase_write(const EraseWriteInputs& in) {
  const auto& [q, k, e, w, g, state, scale] = in;
  TORCH_CHECK(q.dim() == 4 && q.sizes() == k.sizes() && q.sizes() == e.sizes() && w.dim() == 4 &&
                  w.sizes().slice(0, 3) == q.sizes().slice(0, 3) && alike(q, k) && alike(q, e) && alike(q, w),
              "erase_write: queries ", q.sizes(), ", keys ", k.sizes(), ", erasing keys ", e.sizes(), " and values ",
              w.sizes(), " do not fit each other");
  TORCH_CHECK(g.sizes() == q.sizes() && is_wide_beside(g, q), "erase_write: gates ", g.scalar_type(), " ", g.sizes(),
              " must be a number for each of ", q.sizes(), ", fp32 (fp64 for fp64), on their device");
  if (!state.defined()) return;
  const int64_t sizes[] = {q.size(0), q.size(2), q.size(3), w.size(3)};
  TORCH_CHECK(state.sizes() == at::IntArrayRef(sizes) && is_wide_beside(state, q), "erase_write: a state ",
              state.scalar_type(), " ", state.sizes(), " must be ", at::IntArrayRef(sizes),
              ", fp32 (fp64 for fp64), on the queries' device");
}

const EraseWriteKernels& erase_write_kernels(const EraseWriteInputs& in) {
  return select(in.q_BTHK, erase_write_reference, erase_write_cpu, erase_write_cuda);
}

}  // namespace

EraseWrite erase_write(const EraseWriteInputs& inputs) {
  check_erase_write(inputs);
  EraseWriteInputs in = inputs;
  const Tensor& q = in.q_BTHK;
  if (!in.state_BHKV.defined())
    in.state_BHKV =
        captured([sizes = std::vector<int64_t>{q.size(0), q.size(2), q.size(3), in.w_BTHV.size(3)},
                  options = in.g_BTHK.options().requires_grad(false)] { return at::zeros(sizes, options); });
  if (q.size(1) >= kFewEraseWriteTokens || needs_graph(q, in.k_BTHK, in.e_BTHK, in.w_BTHV, in.g_BTHK, in.state_BHKV))
    return erase_write_kernels(in).chunked(in);
  in.state_BHKV = captured([begin = in.state_BHKV] { return begin.clone(at::MemoryFormat::Contiguous); });
  return {erase_write_kernels(in).recurrent(in), in.state_BHKV};
}

Tensor erase_write_in_place(const EraseWriteInputs& in) {
  TORCH_CHECK(in.state_BHKV.defined() && in.state_BHKV.is_contiguous(),
              "erase_write_in_place: a contiguous state is needed");
  check_erase_write(in);
  const at::NoGradGuard no_grad;
  return erase_write_kernels(in).recurrent(in);
}

}  // namespace ingrain::ops
