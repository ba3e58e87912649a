#include "ops/swiglu/swiglu.h"

#include "ops/checks.h"

namespace ingrain::ops {
namespace {

/// f and its first two derivatives.
struct Activated {
  Activated(const Tensor& a, Gate gate) { gate == Gate::silu ? silu(a) : gelu_tanh(a); }
  void silu(const Tensor& a) {
    const Tensor s = a.sigmoid();
    f = a * s;
    d1 = s * (1 + a * (1 - s));
    d2 = s * (1 - s) * (2 + a * (1 - 2 * s));
  }
  void gelu_tanh(const Tensor& a) {
    const Tensor s = (kGeluScale * (a + kGeluCube * a * a * a)).sigmoid(), rest = s * (1 - s);
    const Tensor g1 = kGeluScale * (1 + 3 * kGeluCube * a * a), g2 = 6 * kGeluScale * kGeluCube * a;
    f = a * s;
    d1 = s + a * rest * g1;
    d2 = rest * (2 * g1 + a * ((1 - 2 * s) * g1 * g1 + g2));
  }
  Tensor f, d1, d2;
};

Tensor forward(const Tensor& ab_P, Gate gate) {
  const auto halves = ab_P.to(accumulate_type(ab_P.scalar_type())).chunk(2, -1);
  const Tensor &a_P = halves[0], &b_P = halves[1];
  const Activated act(primal(a_P), gate);
  Tensor u_P = (act.f.to(ab_P.scalar_type()) * primal(b_P)).unsqueeze(0);
  if (is_dual(ab_P)) {
    const Tensor du = act.d1 * tangent(a_P) * primal(b_P) + act.f * tangent(b_P);
    u_P = at::cat({u_P, du.unsqueeze(0)});
  }
  return u_P.to(ab_P.scalar_type());
}

Tensor backward(const Tensor& gu_P, const Tensor& ab_P, Gate gate) {
  const auto acc = accumulate_type(ab_P.scalar_type());
  const auto halves = ab_P.to(acc).chunk(2, -1);
  const Tensor &a_P = halves[0], &b_P = halves[1];
  const Tensor g_P = gu_P.to(acc);
  const Tensor b = primal(b_P), gu = primal(g_P);
  const Activated act(primal(a_P), gate);
  Tensor ga = gu * act.d1 * b, gb = gu * act.f;
  if (!is_dual(ab_P)) return at::cat({ga, gb}, -1).unsqueeze(0).to(ab_P.scalar_type());
  const Tensor da = tangent(a_P), db = tangent(b_P), gdu = tangent(g_P);
  ga = ga + gdu * (act.d2 * da * b + act.d1 * db);
  gb = gb + gdu * act.d1 * da;
  const Tensor gda = gdu * act.d1 * b, gdb = gdu * act.f;
  return at::stack({at::cat({ga, gb}, -1), at::cat({gda, gdb}, -1)}).to(ab_P.scalar_type());
}

}  // namespace

const SwigluKernels swiglu_reference{forward, backward};

}  // namespace ingrain::ops
