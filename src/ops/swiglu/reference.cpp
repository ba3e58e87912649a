#include "ops/swiglu/swiglu.h"

#include "ops/checks.h"

namespace ingrain::ops {
namespace {

/// silu(a) = a s with s = sigmoid(a), and its first two derivatives.
struct Silu {
  explicit Silu(const Tensor& a) {
    const Tensor s = a.sigmoid();
    f = a * s;
    d1 = s * (1 + a * (1 - s));
    d2 = s * (1 - s) * (2 + a * (1 - 2 * s));
  }
  Tensor f, d1, d2;
};

Tensor forward(const Tensor& ab_P) {
  const auto halves = ab_P.to(accumulate_type(ab_P.scalar_type())).chunk(2, -1);
  const Tensor &a_P = halves[0], &b_P = halves[1];
  const Silu silu(primal(a_P));
  Tensor u_P = (silu.f.to(ab_P.scalar_type()) * primal(b_P)).unsqueeze(0);
  if (is_dual(ab_P)) {
    const Tensor du = silu.d1 * tangent(a_P) * primal(b_P) + silu.f * tangent(b_P);
    u_P = at::cat({u_P, du.unsqueeze(0)});
  }
  return u_P.to(ab_P.scalar_type());
}

Tensor backward(const Tensor& gu_P, const Tensor& ab_P) {
  const auto acc = accumulate_type(ab_P.scalar_type());
  const auto halves = ab_P.to(acc).chunk(2, -1);
  const Tensor &a_P = halves[0], &b_P = halves[1];
  const Tensor g_P = gu_P.to(acc);
  const Tensor b = primal(b_P), gu = primal(g_P);
  const Silu silu(primal(a_P));
  Tensor ga = gu * silu.d1 * b, gb = gu * silu.f;
  if (!is_dual(ab_P)) return at::cat({ga, gb}, -1).unsqueeze(0).to(ab_P.scalar_type());
  const Tensor da = tangent(a_P), db = tangent(b_P), gdu = tangent(g_P);
  ga = ga + gdu * (silu.d2 * da * b + silu.d1 * db);
  gb = gb + gdu * silu.d1 * da;
  const Tensor gda = gdu * silu.d1 * b, gdb = gdu * silu.f;
  return at::stack({at::cat({ga, gb}, -1), at::cat({gda, gdb}, -1)}).to(ab_P.scalar_type());
}

}  // namespace

const SwigluKernels swiglu_reference{forward, backward};

}  // namespace ingrain::ops
