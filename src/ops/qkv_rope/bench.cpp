// Rows of the heads.
#include "bench/ops/row.h"
#include "ops/qkv_rope/qkv_rope.h"

namespace ingrain::bench {
namespace {

using namespace ops;

constexpr double kHeadsEps = 1e-6;

}  // namespace

void qkv_rope_rows(const OpsRows& to) {
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
                        [=, rope = rope(in)](const auto& k) { k.forward(qkv, norm, norm, rope, shape, kHeadsEps); });
    });
    if (to.is(OpsShape::Pass::token)) continue;
    to.add("heads", P, "backward", sizes, {0, 3 * stack}, [=](const OpsInputs& in) {
      const Tensor qkv = in.random({P, 1, T, shape.width()}), norm = in.ones(d);
      const auto part = [&](int64_t heads) { return in.random({P, 1, T, heads, d}); };
      const Heads g{part(shape.q_heads), part(shape.kv_heads), part(shape.kv_heads)};
      return of_kernels(qkv, qkv_rope_reference, qkv_rope_cpu, qkv_rope_cuda, [=, rope = rope(in)](const auto& k) {
        k.backward(g, qkv, norm, norm, rope, shape, kHeadsEps, /*want_norms=*/true);
      });
    });
  }
}

}  // namespace ingrain::bench
