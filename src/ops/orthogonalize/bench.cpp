// Rows of Muon's direction.
#include "bench/ops/row.h"
#include "ops/orthogonalize/orthogonalize.h"

namespace ingrain::bench {
namespace {

/// The iteration as the pages of Muon have it, every matrix in the activations' type.
void libtorch_orthogonalize(const Tensor& x_NRC, at::ScalarType type) {
  Tensor X = x_NRC.to(type);
  X = X / at::linalg_vector_norm(X, 2, at::IntArrayRef{1, 2}, /*keepdim=*/true);
  for (int i = 0; i < 5; ++i) {
    const Tensor A = X.matmul(X.transpose(1, 2)), B = -4.7750 * A + 2.0315 * A.matmul(A);
    X = 3.4445 * X + B.matmul(X);
  }
}

}  // namespace

void orthogonalize_rows(const OpsRows& to) {
  const OpsShape& s = to.shape;
  if (!to.is(OpsShape::Pass::chunk)) return;
  const int64_t N = 2, R = std::min(s.F, s.D), C = std::max(s.F, s.D);
  // Five times X Xᵀ, A A and P X; on the way back three large ones and a small one more.
  const auto flops = [&](int64_t large, int64_t small) {
    return 10.0 * static_cast<double>(N * R * R) * static_cast<double>(large * C + small * R);
  };
  const auto row = [&](const char* pass, bool back, double work) {
    to.add("orthogonalize", 1, pass, fmt::format("{}x{}x{}", N, R, C), {work, 0}, [=](const OpsInputs& in) {
      const Tensor x = in.random_fp32({N, R, C}), u = in.random_fp32({N, R, C});
      Contenders out;
      out.ours = [=, type = in.type] {
        const ops::Orthogonalized y(x, type, back);
        if (back) y.transposed(u);
      };
      if (!back) out.libtorch = [=, type = in.type] { libtorch_orthogonalize(x, type); };
      return out;
    });
  };
  row("forward", false, flops(2, 1));
  row("backward too", true, flops(5, 2));
}

}  // namespace ingrain::bench
