#include "ops/ring_attention/ring_attention.h"

#include "ops/checks.h"
#include "ops/backend.h"

namespace ingrain::ops {
namespace {

const RingKernels& ring_kernels(const Tensor& x) { return select(x, ring_reference, ring_cpu, ring_cuda); }

void check_ring(const char* operation, const Tensor& x, const Tensor& k_BCGd, const Tensor& v_BCGd,
                const Tensor& position_B) {
  TORCH_CHECK(x.dim() == 3 && k_BCGd.dim() == 4 && k_BCGd.sizes() == v_BCGd.sizes() && x.size(0) == k_BCGd.size(0) &&
                  x.size(2) == k_BCGd.size(3),
              operation, ": tokens ", x.sizes(), " do not fit a ring of keys ", k_BCGd.sizes(), " and values ",
              v_BCGd.sizes());
  TORCH_CHECK(k_BCGd.is_contiguous() && v_BCGd.is_contiguous(), operation, ": the ring must be contiguous");
  for (const Tensor& ring : {k_BCGd, v_BCGd})
    TORCH_CHECK(ring.scalar_type() == x.scalar_type() && ring.device() == x.device(), operation,
                ": the ring must have the tokens' type and device");
  TORCH_CHECK(position_B.scalar_type() == at::kLong && position_B.dim() == 1 && position_B.size(0) == x.size(0) &&
                  position_B.is_contiguous() && position_B.device() == x.device(),
              operation, ": positions ", position_B.sizes(), " must be one int64 a sequence, on the tokens' device");
}

}  // namespace

Tensor ring_attention(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position_B,
                      int64_t window, double scale, const RingSink& sink) {
  check_ring("ring_attention", q_BHd, k_BCGd, v_BCGd, position_B);
  TORCH_CHECK(k_BCGd.size(2) > 0 && q_BHd.size(1) % k_BCGd.size(2) == 0, "ring_attention: ", q_BHd.size(1),
              " heads cannot share ", k_BCGd.size(2), " heads of keys evenly");
  TORCH_CHECK(window >= 1 && window <= k_BCGd.size(1), "ring_attention: a window of ", window,
              " needs a ring of as many slots, not ", k_BCGd.size(1));
  TORCH_CHECK(!sink.defined() || (sink.v_Gd.defined() && sink.s_BH.sizes() == q_BHd.sizes().slice(0, 2) &&
                                  sink.v_Gd.sizes() == k_BCGd.sizes().slice(2) && alike(sink.s_BH, q_BHd) &&
                                  alike(sink.v_Gd, q_BHd) && sink.from >= 0),
              "ring_attention: a sink needs a score for every query ", q_BHd.sizes(), " and a value like a slot of ",
              k_BCGd.sizes(), ", of their type and on their device");
  const at::NoGradGuard no_grad;
  return ring_kernels(q_BHd).attend(q_BHd, k_BCGd, v_BCGd, position_B, window, scale, sink);
}

void ring_store(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
                const Tensor& position_B) {
  check_ring("ring_store", k_BGd, k_BCGd, v_BCGd, position_B);
  TORCH_CHECK(v_BGd.sizes() == k_BGd.sizes() && v_BGd.scalar_type() == k_BGd.scalar_type() &&
                  v_BGd.device() == k_BGd.device() && k_BGd.size(1) == k_BCGd.size(2),
              "ring_store: a key ", k_BGd.sizes(), " and a value ", v_BGd.sizes(), " do not fit a ring ",
              k_BCGd.sizes());
  TORCH_CHECK(k_BCGd.size(1) > 0, "ring_store: the ring has no slots");
  const at::NoGradGuard no_grad;
  ring_kernels(k_BGd).store(k_BGd, v_BGd, k_BCGd, v_BCGd, position_B);
}

}  // namespace ingrain::ops
