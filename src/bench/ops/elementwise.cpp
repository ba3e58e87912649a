// Rows of operations that are bound by memory: norms, the residual addition, heads, the gate.
#include "bench/ops/row.h"
#include "ops/qkv_rope/qkv_rope.h"
#include "ops/residual/residual.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"

namespace ingrain::bench {
namespace {

using namespace ops;

constexpr double kEps = 1e-6;

bool is_token(const OpsRows& to) { return to.is(OpsShape::Pass::token); }

}  // namespace

void add_rms_norm(const OpsRows& to) {
  const int64_t N = to.shape.T, D = to.shape.D;
  const auto sizes = fmt::format("{}x{}", N, D);
  for (const int64_t P : to.planes()) {
    const double planes = to.bytes(P * N * D);
    for (const bool with_residual : {false, true})
      to.add(with_residual ? "add_rms_norm" : "rms_norm", P, "forward", sizes, {0, (with_residual ? 3 : 2) * planes},
             [=](const OpsInputs& in) {
               const Tensor x = in.random({P, N, D}), w = in.ones(D),
                            residual = with_residual ? in.random({P, N, D}) : Tensor();
               Contenders out = of_kernels(x, rms_norm_reference, rms_norm_cpu, rms_norm_cuda,
                                           [=](const auto& k) { k.forward(residual, x, w, kEps); });
               if (P == 1)
                 out.libtorch = [=, w = w.to(in.type)] {
                   const Tensor y = at::rms_norm(x, {D}, w, kEps);
                   if (with_residual) residual + y;
                 };
               return out;
             });
    if (is_token(to)) continue;
    to.add("rms_norm", P, "backward", sizes, {0, 3 * planes}, [=](const OpsInputs& in) {
      const Tensor x = in.random({P, N, D}), gy = in.random({P, N, D}), w = in.ones(D);
      Contenders out = of_kernels(x, rms_norm_reference, rms_norm_cpu, rms_norm_cuda,
                                  [=](const auto& k) { k.backward(gy, x, w, kEps, /*want_w=*/true); });
      if (P == 1) {
        const at::AutoGradMode graph(true);
        const Tensor leaf = x.detach().requires_grad_(), scale = w.to(in.type).requires_grad_();
        out.libtorch = backward_of(at::rms_norm(leaf, {D}, scale, kEps), gy, {leaf, scale});
      }
      return out;
    });
  }
}

void add_residual_rows(const OpsRows& to) {
  const int64_t N = to.shape.T, D = to.shape.D;
  for (const int64_t P : to.planes())
    to.add("add_residual", P, "forward", fmt::format("{}x{}", N, D), {0, 3 * to.bytes(P * N * D)},
           [=](const OpsInputs& in) {
             const Tensor residual = in.random({P, N, D}), x = in.random({P, N, D});
             return of_kernels(x, residual_reference, residual_cpu, residual_cuda,
                               [=](const auto& k) { k.forward(residual, x); });
           });
}

void add_heads(const OpsRows& to) {
  const int64_t T = to.shape.T, d = to.shape.d;
  const HeadShape shape{to.shape.H, to.shape.G, d};
  const auto sizes = fmt::format("{}xH{}G{}d{}", T, shape.q_heads, shape.kv_heads, d);
  for (const int64_t P : to.planes()) {
    const double stack = to.bytes(P * T * shape.width());
    const auto rope = [=](const OpsInputs& in) {
      const Tensor angles = at::randn({T, d / 2}, in.options().dtype(at::kFloat));
      return RopeTable{angles.cos(), angles.sin(), true};
    };
    to.add("heads", P, "forward", sizes, {0, 2 * stack}, [=](const OpsInputs& in) {
      const Tensor qkv = in.random({P, 1, T, shape.width()}), norm = in.ones(d);
      return of_kernels(qkv, qkv_rope_reference, qkv_rope_cpu, qkv_rope_cuda,
                        [=, rope = rope(in)](const auto& k) { k.forward(qkv, norm, norm, rope, shape, kEps); });
    });
    if (is_token(to)) continue;
    to.add("heads", P, "backward", sizes, {0, 3 * stack}, [=](const OpsInputs& in) {
      const Tensor qkv = in.random({P, 1, T, shape.width()}), norm = in.ones(d);
      const auto part = [&](int64_t heads) { return in.random({P, 1, T, heads, d}); };
      const Heads g{part(shape.q_heads), part(shape.kv_heads), part(shape.kv_heads)};
      return of_kernels(qkv, qkv_rope_reference, qkv_rope_cpu, qkv_rope_cuda, [=, rope = rope(in)](const auto& k) {
        k.backward(g, qkv, norm, norm, rope, shape, kEps, /*want_norms=*/true);
      });
    });
  }
}

void add_swiglu(const OpsRows& to) {
  const int64_t N = to.shape.T, F = to.shape.F;
  const auto sizes = fmt::format("{}x{}", N, F);
  const auto gate = [=](const Tensor& ab) { return at::silu(ab.narrow(-1, 0, F)) * ab.narrow(-1, F, F); };
  for (const int64_t P : to.planes()) {
    const double plane = to.bytes(P * N * F);
    to.add("swiglu", P, "forward", sizes, {0, 3 * plane}, [=](const OpsInputs& in) {
      const Tensor ab = in.random({P, N, 2 * F});
      Contenders out = of_kernels(ab, swiglu_reference, swiglu_cpu, swiglu_cuda, [=](const auto& k) { k.forward(ab); });
      if (P == 1) out.libtorch = [=] { gate(ab); };
      return out;
    });
    if (is_token(to)) continue;
    to.add("swiglu", P, "backward", sizes, {0, 5 * plane}, [=](const OpsInputs& in) {
      const Tensor ab = in.random({P, N, 2 * F}), gu = in.random({P, N, F});
      Contenders out =
          of_kernels(ab, swiglu_reference, swiglu_cpu, swiglu_cuda, [=](const auto& k) { k.backward(gu, ab); });
      if (P == 1) {
        const at::AutoGradMode graph(true);
        const Tensor leaf = ab.detach().requires_grad_();
        out.libtorch = backward_of(gate(leaf), gu, {leaf});
      }
      return out;
    });
  }
}

}  // namespace ingrain::bench
