// Rows of windowed attention.
#include "bench/ops/row.h"
#include "bench/work.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <cmath>

namespace ingrain::bench {
namespace {

using namespace ops;

/// Scores that the reference may hold at once: it keeps several such matrices, in fp32.
constexpr int64_t kMostScoresCpu = int64_t{1} << 26, kMostScoresGpu = int64_t{1} << 29;

struct AttentionInputs {
  Tensor q, k, v;
  KvWindow past;

  AttentionInputs(const OpsShape& s, int64_t P, const OpsInputs& in) {
    const auto now = [&](int64_t heads) { return in.random({P, 1, s.T, heads, s.d}); };
    const auto old = [&] { return in.random({1, s.past, s.G, s.d}); };
    q = now(s.H), k = now(s.G), v = now(s.G);
    past = {old(), old()};
  }
};

/// libtorch has no window outside CUDA: it gets it as a mask, and the keys in one piece with their heads first.
struct ByLibtorch {
  Tensor q, k, v, seen;
  double scale;
  bool grouped;

  ByLibtorch(const OpsShape& s, const AttentionInputs& x, double factor) : scale(factor), grouped(s.H != s.G) {
    q = x.q[0].transpose(1, 2);
    k = at::cat({x.past.k_BWGd, x.k[0]}, 1).transpose(1, 2);
    v = at::cat({x.past.v_BWGd, x.v[0]}, 1).transpose(1, 2);
    const auto whole = x.q.options().dtype(at::kLong);
    const Tensor i = at::arange(s.past, s.past + s.T, whole).unsqueeze(1),
                 j = at::arange(s.past + s.T, whole).unsqueeze(0);
    seen = j.le(i).logical_and_(j.gt(i - s.window));
  }
  Tensor forward() const {
    return at::scaled_dot_product_attention(q, k, v, seen, 0, /*is_causal=*/false, scale, grouped);
  }
  Run backward(const Tensor& go) {
    const at::AutoGradMode graph(true);
    for (Tensor* x : {&q, &k, &v}) x->requires_grad_();
    return backward_of(forward(), go[0].transpose(1, 2), {q, k, v});
  }
};

}  // namespace

void windowed_attention_rows(const OpsRows& to) {
  const OpsShape s = to.shape;
  const auto sizes = fmt::format("{}+{}xH{}G{}d{}k{}", s.past, s.T, s.H, s.G, s.d, s.window);
  const double scale = 1 / std::sqrt(static_cast<double>(s.d));
  const AttentionWork work = attention_work(s.H * s.d, s.window, s.past, s.T, s.past);
  for (const int64_t P : to.planes()) {
    const double queries = to.bytes(P * s.T * s.H * s.d), keys = to.bytes(2 * P * s.T * s.G * s.d),
                 past = to.bytes(2 * s.past * s.G * s.d);
    const bool fits = P * s.H * s.T * (s.past + s.T) <= (to.on_cpu() ? kMostScoresCpu : kMostScoresGpu);
    const double forward = 2 * (P == 1 ? work.forward() : work.dual_forward());  // a multiply-add is two
    to.add("attention", P, "forward", sizes, {forward, 2 * queries + keys + past}, [=](const OpsInputs& in) {
      const AttentionInputs x(s, P, in);
      Contenders out = of_kernels(x.q, attention_reference, attention_cpu, attention_cuda,
                                  [=](const auto& k) { k.forward(x.q, x.k, x.v, x.past, s.window, scale); });
      if (!fits) out.reference = {};
      if (P == 1) out.libtorch = [libtorch = ByLibtorch(s, x, scale)] { libtorch.forward(); };
      return out;
    });
    if (to.is(OpsShape::Pass::token)) continue;
    const double backward =
        2 * (P == 1 ? work.backward(/*of_all_keys=*/false) : work.dual_backward(/*of_all_keys=*/false));
    to.add("attention", P, "backward", sizes, {backward, 4 * queries + 2 * keys + past}, [=](const OpsInputs& in) {
      const AttentionInputs x(s, P, in);
      const Tensor go = in.random({P, 1, s.T, s.H, s.d});
      const auto of = [=](const AttentionKernels& k) {
        return [=, output = k.forward(x.q, x.k, x.v, x.past, s.window, scale)] {
          k.backward(go, x.q, x.k, x.v, x.past, output, s.window, scale, /*want_past=*/false);
        };
      };
      Contenders out{of(select(x.q, attention_reference, attention_cpu, attention_cuda))};
      if (fits) out.reference = of(attention_reference);
      if (P == 1) out.libtorch = ByLibtorch(s, x, scale).backward(go);
      return out;
    });
  }
}

}  // namespace ingrain::bench
