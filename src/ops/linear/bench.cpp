// Rows of products with weights: slow ones, and fast ones with their tangents.
#include "bench/ops/matrix.h"
#include "ops/linear/linear.h"
#include "ops/linear/products.h"

namespace ingrain::bench {
namespace {

using namespace ops;

/// x wᵀ, and for its backward pass g w and gᵀ x.
void add_product(const OpsRows& to, int64_t m, const Matrix& w) {
  using Product = Tensor (*)(const Tensor&, const Tensor&);
  const auto row = [&](const char* form, Product ours, std::vector<int64_t> left, std::vector<int64_t> right,
                       Product libtorch) {
    const OpsWork work{product_flops(m, w), to.bytes(m * w.columns + w.rows * w.columns + m * w.rows)};
    to.add("product", 1, form, sizes_of(m, w), work, [=](const OpsInputs& in) {
      const Tensor a = in.random(left), b = in.random(right);
      return Contenders{[=] { ours(a, b); }, {}, [=] { libtorch(a, b); }};
    });
  };
  const std::vector<int64_t> x{m, w.columns}, g{m, w.rows}, matrix{w.rows, w.columns};
  row("nt", product_nt, x, matrix, [](const Tensor& a, const Tensor& b) { return at::mm(a, b.t()); });
  if (to.is(OpsShape::Pass::token)) return;
  row("nn", product_nn, g, matrix, [](const Tensor& a, const Tensor& b) { return at::mm(a, b); });
  row("tn", product_tn, g, x, [](const Tensor& a, const Tensor& b) { return at::mm(a.t(), b); });
}

/// The fast MLP's first product. w is fp32 and rounded on the way, as everywhere.
struct FastInputs {
  Tensor x_PBTD, w_BFD, dw_BFD;

  FastInputs(const OpsInputs& in, int64_t P, int64_t T, const Matrix& w)
      : x_PBTD(in.random({P, 1, T, w.columns})),
        w_BFD(in.random_fp32({1, w.rows, w.columns})),
        dw_BFD(P == 2 ? in.random_fp32({1, w.rows, w.columns}) : Tensor()) {}

  Tensor ours() const { return fast_linear(x_PBTD, w_BFD, dw_BFD); }
  Tensor libtorch() const {
    const auto type = x_PBTD.scalar_type();
    const Tensor y_P = at::linear(x_PBTD, w_BFD[0].to(type));
    if (!dw_BFD.defined()) return y_P;
    return at::stack({y_P[0], y_P[1] + at::linear(x_PBTD[0], dw_BFD[0].to(type))});
  }
  void require_gradients() {
    x_PBTD.requires_grad_();
    w_BFD.requires_grad_();
  }
};

void add_products(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::token)) {
    for (const Matrix& w : matrices(s)) add_product(to, s.T, w);
    return;
  }
  for (const Matrix& w : matrices(s))
    for (const int64_t m : {1, 2, 4, 8, 16}) add_product(to, m, w);  // several sequences, or the start of a chunk
  add_product(to, 1, {s.V, s.D});
}

void add_fast_linear(const OpsRows& to) {
  if (to.is(OpsShape::Pass::prefix) || to.shape.S == 0) return;
  const int64_t T = to.shape.T;
  const Matrix w{2 * to.shape.F, to.shape.D};
  const double weights = 4.0 * static_cast<double>(w.rows * w.columns);
  for (const int64_t P : to.planes()) {
    // Dual: x w of both planes and x dw; backward g w of both and gdy dw, then gᵀ x of both.
    const double one = product_flops(T, w), forward = P == 1 ? 1 : 3, backward = P == 1 ? 2 : 5;
    const double activations = to.bytes(P * T * (w.rows + w.columns));
    to.add("fast_linear", P, "forward", sizes_of(T, w), {forward * one, static_cast<double>(P) * weights + activations},
           [=](const OpsInputs& in) {
             const FastInputs x(in, P, T, w);
             return Contenders{[=] { x.ours(); }, {}, [=] { x.libtorch(); }};
           });
    if (to.is(OpsShape::Pass::token)) continue;
    to.add("fast_linear", P, "backward", sizes_of(T, w), {backward * one, 0}, [=](const OpsInputs& in) {
      const at::AutoGradMode graph(true);
      FastInputs x(in, P, T, w);
      x.require_gradients();
      const Tensor gy = in.random({P, 1, T, w.rows});
      return Contenders{
          backward_of(x.ours(), gy, {x.x_PBTD, x.w_BFD}), {}, backward_of(x.libtorch(), gy, {x.x_PBTD, x.w_BFD})};
    });
  }
}

}  // namespace

void linear_rows(const OpsRows& to) {
  add_products(to);
  add_fast_linear(to);
}

}  // namespace ingrain::bench
