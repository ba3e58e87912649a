#include "ops/orthogonalize/orthogonalize.h"

#include "ops/checks.h"
#include "ops/simd/processor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ingrain::ops {
namespace {

constexpr double a = 3.4445, b = -4.7750, d = 2.0315;  // a x + b x^3 + d x^5 takes (0, 1] near to 1
constexpr int kIterations = 5;

at::ScalarType type_of_products(const Tensor& x, at::ScalarType wanted) {
  if (wanted != at::kBFloat16 || x.scalar_type() != at::kFloat) return x.scalar_type();
  return x.is_cpu() && !has_native_bf16() ? at::kFloat : at::kBFloat16;
}

Tensor transpose(const Tensor& x_NRC) { return x_NRC.transpose(1, 2); }

}  // namespace

Tensor Orthogonalized::lying(const Tensor& x_NRC) const { return tall_ ? transpose(x_NRC) : x_NRC; }

Orthogonalized::Orthogonalized(const Tensor& x_NRC, at::ScalarType products, bool keep) {
  TORCH_CHECK(x_NRC.dim() == 3 && (x_NRC.scalar_type() == at::kFloat || x_NRC.scalar_type() == at::kDouble),
              "orthogonalize: ", x_NRC.scalar_type(), " ", x_NRC.sizes(), " are no matrices in fp32 or fp64");
  const at::NoGradGuard no_grad;
  const double R = static_cast<double>(x_NRC.size(1)), C = static_cast<double>(x_NRC.size(2));
  tall_ = R > C;
  scale_ = std::sqrt(std::max(1.0, R / C));
  products_ = type_of_products(x_NRC, products);
  // Divided by infinity, zero stays zero, with a derivative of zero: w1 and w3 have no gradient while w2 is zero, as
  // after a retrofit.
  norm_N11_ = at::linalg_vector_norm(x_NRC, 2, at::IntArrayRef{1, 2}, /*keepdim=*/true);
  norm_N11_.masked_fill_(norm_N11_ == 0, std::numeric_limits<double>::infinity());
  const Tensor X0_NRC = x_NRC / norm_N11_;
  if (keep) X0_NRC_ = X0_NRC;
  Tensor X = lying(X0_NRC).to(products_).contiguous();
  for (int i = 0; i < kIterations; ++i) {
    const Tensor A = X.bmm(transpose(X)), P = at::baddbmm(A, A, A, b, d);
    if (keep) kept_.push_back({X, A, P});
    X = at::baddbmm(X, P, X, a);
  }
  y_NRC_ = (lying(X).to(x_NRC.scalar_type()) * scale_).contiguous();
}

Tensor Orthogonalized::transposed(const Tensor& u_NRC) const {
  TORCH_CHECK(u_NRC.sizes() == y_NRC_.sizes() && alike(u_NRC, y_NRC_) && X0_NRC_.defined(),
              "orthogonalize: ", u_NRC.sizes(), " is no cotangent of ", y_NRC_.sizes(), " whose iterations were kept");
  const at::NoGradGuard no_grad;
  Tensor G = (lying(u_NRC) * scale_).to(products_).contiguous();
  for (auto it = kept_.rbegin(); it != kept_.rend(); ++it) {
    const auto& [X, A, P] = *it;
    const Tensor G_X = G.bmm(transpose(X)), H = G_X + transpose(G_X);  // dJ/dP, twice its symmetric part
    const Tensor A_H = A.bmm(H), S = b * H + d * (A_H + transpose(A_H));
    G = at::baddbmm(at::baddbmm(G, P, G, a), S, X);
  }
  const Tensor G_NRC = lying(G).to(u_NRC.scalar_type());
  return (G_NRC - X0_NRC_ * (X0_NRC_ * G_NRC).sum({1, 2}, /*keepdim=*/true)) / norm_N11_;
}

}  // namespace ingrain::ops
