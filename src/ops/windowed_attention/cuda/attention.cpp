#include "ops/windowed_attention/cuda/attention.h"

#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/windowed_attention/cuda/flash.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

/// A call with everything it points at, contiguous where that is asked for.
class Problem {
 public:
  Problem(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past, int64_t window, double scale)
      : q_(q.contiguous()),
        k_(k.contiguous()),
        v_(v.contiguous()),
        past_k_(usable(past.k_BWGd)),
        past_v_(usable(past.v_BWGd)),
        skipped_(std::max<int64_t>(0, past.length() - window + 1)) {
    call = {.type = cuda::number(q),
            .planes = planes(q),
            .batch = q.size(1),
            .tokens = q.size(2),
            .q_heads = q.size(3),
            .kv_heads = k.size(3),
            .head_dim = q.size(4),
            .past = past.length() - skipped_,
            .window = window,
            .scale = static_cast<float>(scale),
            .vectors = false,
            .q = q_.const_data_ptr(),
            .k = source(k_, past_k_),
            .v = source(v_, past_v_)};
    call.vectors =
        cuda::in_vectors(call.type, call.head_dim, {call.q, call.k.past, call.k.now, call.v.past, call.v.now}) &&
        past_in_vectors(call.k) && past_in_vectors(call.v);
  }

  cuda::AttentionCall call;
  int64_t skipped() const { return skipped_; }  // past keys that no query sees

  /// `also` are tensors like q that a kernel moves, too.
  void require_vectors(std::initializer_list<const void*> also) {
    call.vectors = call.vectors && cuda::in_vectors(call.type, call.head_dim, also);
  }

 private:
  static Tensor usable(const Tensor& x_BWGd) {
    if (!x_BWGd.defined() || x_BWGd.size(1) == 0) return {};
    const bool rows_whole = x_BWGd.stride(3) == 1 && x_BWGd.stride(2) == x_BWGd.size(3);
    return rows_whole ? x_BWGd : x_BWGd.contiguous();
  }
  KeySource source(const Tensor& now, const Tensor& past) const {
    if (!past.defined()) return {nullptr, 0, 0, now.const_data_ptr()};
    const char* const first =
        static_cast<const char*>(past.const_data_ptr()) + skipped_ * past.stride(1) * past.element_size();
    return {first, past.stride(0), past.stride(1), now.const_data_ptr()};
  }
  bool past_in_vectors(const KeySource& s) const {
    return cuda::in_vectors(call.type, s.past_stride, {}) && cuda::in_vectors(call.type, s.past_batch_stride, {});
  }

  Tensor q_, k_, v_, past_k_, past_v_;
  int64_t skipped_;
};

/// Whether our own kernels take these tensors; where not, the reference formulas do the work.
bool has_kernel(const Tensor& q, const cuda::DeviceScope& device) {
  return q.size(4) <= cuda::kLargestAttentionHead &&
         cuda::attention_shared_memory(cuda::number(q), planes(q), q.size(4)) <= device.shared_memory();
}

AttentionKernels::Output forward(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past,
                                 int64_t window, double scale) {
  const cuda::DeviceScope device(q.device().index());
  if (cuda::has_flash_attention(q)) return cuda::flash_forward(q, k, v, past, window, scale);
  if (!has_kernel(q, device)) return attention_reference.forward(q, k, v, past, window, scale);
  Problem problem(q, k, v, past, window, scale);
  const cuda::AttentionCall& c = problem.call;
  const Tensor o = at::empty(q.sizes(), q.options());
  const Tensor stats = at::empty({c.planes, c.batch, c.q_heads, c.tokens}, q.options().dtype(at::kFloat));
  if (o.numel() == 0) return {o, stats};
  problem.require_vectors({o.data_ptr()});
  float* const lse = stats.data_ptr<float>();
  cuda::attention_forward({c, o.data_ptr(), lse, c.planes == 2 ? lse + stats.stride(0) : nullptr}, device.stream());
  return {o, stats};
}

/// Zeros for the past's gradient, of which the kernel fills the keys that some query sees.
Tensor past_gradient(const Tensor& past_BWGd, const Tensor& q, int64_t skipped, KeyGradient& to) {
  const Tensor g = at::zeros(past_BWGd.sizes(), q.options());
  to.past = static_cast<char*>(g.data_ptr()) + skipped * g.stride(1) * g.element_size();
  to.past_batch_stride = g.stride(0);
  return g;
}

AttentionKernels::Gradients backward(const Tensor& go_in, const Tensor& q, const Tensor& k, const Tensor& v,
                                     const KvWindow& past, const AttentionKernels::Output& output, int64_t window,
                                     double scale, bool want_past) {
  const cuda::DeviceScope device(q.device().index());
  if (cuda::has_flash_attention(q)) return cuda::flash_backward(go_in, q, k, v, past, output, window, scale, want_past);
  if (!has_kernel(q, device))
    return attention_reference.backward(go_in, q, k, v, past, output, window, scale, want_past);
  Problem problem(q, k, v, past, window, scale);
  const cuda::AttentionCall& c = problem.call;
  const Tensor go = go_in.contiguous();
  AttentionKernels::Gradients out{
      at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()), at::empty(v.sizes(), v.options()), {}, {}};
  KeyGradient gk{out.k_PBTGd.data_ptr(), nullptr, 0}, gv{out.v_PBTGd.data_ptr(), nullptr, 0};
  if (want_past && past.length() > 0) {
    out.past_k_BWGd = past_gradient(past.k_BWGd, q, problem.skipped(), gk);
    out.past_v_BWGd = past_gradient(past.v_BWGd, q, problem.skipped(), gv);
  }
  if (q.numel() == 0) return out;
  problem.require_vectors({go.const_data_ptr(), out.q_PBTHd.data_ptr(), gk.now, gk.past, gv.now, gv.past});
  const Tensor sums = at::empty_like(output.stats);
  const float* const lse = output.stats.const_data_ptr<float>();
  float* const sum = sums.data_ptr<float>();
  const int64_t plane = c.planes == 2 ? sums.stride(0) : 0;
  const cuda::AttentionBackward b{c,   go.const_data_ptr(), output.o_PBTHd.const_data_ptr(), lse, lse + plane,
                                  sum, sum + plane,         out.q_PBTHd.data_ptr(),          gk,  gv};
  cuda::attention_query_gradients(b, device.stream());
  cuda::attention_key_gradients(b, device.stream());
  return out;
}

}  // namespace

const AttentionKernels attention_cuda{forward, backward};

}  // namespace ingrain::ops
