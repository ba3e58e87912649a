// Newton and Schulz's iteration: singular values, directions, its derivative, and what is refused.
#include "max_difference.h"
#include "ops_refusals.h"

#include "ops/orthogonalize/orthogonalize.h"
#include "ops/simd/processor.h"

#include <cmath>

namespace ingrain::test {
namespace {

Tensor orthogonalized(const Tensor& x_NRC) { return ops::Orthogonalized(x_NRC, x_NRC.scalar_type()).y_NRC(); }

TEST(Orthogonalize, singular_values_become_alike_and_zero_stays_zero) {
  at::manual_seed(3);
  const Tensor u = std::get<0>(at::linalg_qr(at::randn({12, 8}, at::kDouble))),
               v = std::get<0>(at::linalg_qr(at::randn({8, 8}, at::kDouble)));
  const Tensor values = at::tensor({1.0, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0}, at::kDouble);
  const Tensor tall = u.matmul(at::diag(values)).matmul(v.t());
  for (const Tensor& x : {tall, Tensor(1e-7 * tall), Tensor(tall.t().contiguous())}) {
    const double scale = x.size(0) > x.size(1) ? std::sqrt(12.0 / 8) : 1;
    const Tensor got = at::linalg_svdvals(orthogonalized(x.unsqueeze(0))[0]) / scale;
    EXPECT_GT(got.narrow(0, 0, 7).min().item<double>(), 0.6) << got;
    EXPECT_LT(got.max().item<double>(), 1.3) << got;
    EXPECT_LT(got[7].item<double>(), 1e-6);
  }
  const ops::Orthogonalized zero(at::zeros({2, 3, 4}, at::kFloat), at::kBFloat16, /*keep=*/true);
  EXPECT_EQ(zero.y_NRC().abs().max().item<double>(), 0);
  EXPECT_EQ(zero.transposed(at::ones({2, 3, 4}, at::kFloat)).abs().max().item<double>(), 0);
}

TEST(Orthogonalize, directions_stay_and_matrices_of_a_batch_are_taken_apart) {
  at::manual_seed(4);
  const Tensor x = at::randn({3, 5, 7}, at::kDouble), y = orthogonalized(x);
  for (int64_t n = 0; n < 3; ++n) {
    EXPECT_LT(max_difference(orthogonalized(x.narrow(0, n, 1)), y.narrow(0, n, 1)), 1e-12);
    const auto [u, s, v] = at::linalg_svd(x[n], /*full_matrices=*/false);
    const Tensor turned = u.t().matmul(y[n]).matmul(v.t());  // diagonal in the basis of x
    EXPECT_LT(max_difference(turned, at::diag(turned.diagonal())), 1e-10);
    EXPECT_GT(turned.diagonal().min().item<double>(), 0);
  }
}

TEST(Orthogonalize, the_derivatives_transpose_is_that_of_differences) {
  at::manual_seed(5);
  for (const auto& [R, C] : {std::pair(4, 7), {7, 4}, {5, 5}}) {
    const Tensor x = at::randn({2, R, C}, at::kDouble), u = at::randn_like(x), along = at::randn_like(x);
    const Tensor back = ops::Orthogonalized(x, at::kDouble, /*keep=*/true).transposed(u);
    constexpr double h = 1e-6;
    const Tensor dy = (orthogonalized(x + h * along) - orthogonalized(x - h * along)) / (2 * h);
    EXPECT_NEAR((back * along).sum().item<double>(), (u * dy).sum().item<double>(), 1e-7);
  }
}

TEST(Orthogonalize, products_of_bf16_come_near) {
  if (!ops::has_native_bf16()) GTEST_SKIP() << "this processor's products are those of fp32";
  at::manual_seed(6);
  const Tensor x = at::randn({2, 16, 48}), u = at::randn_like(x);
  const ops::Orthogonalized wide(x, at::kFloat, true), half(x, at::kBFloat16, true);
  const auto far = [](const Tensor& a, const Tensor& b) { return ((a - b).norm() / b.norm()).item<double>(); };
  EXPECT_LT(far(half.y_NRC(), wide.y_NRC()), 0.03);
  EXPECT_LT(far(half.transposed(u), wide.transposed(u)), 0.06);
}

struct MatrixInputs {
  Tensor x, u;
  explicit MatrixInputs(at::ScalarType type) : x(at::ones({2, 3, 4}, type)), u(x) {}
  bool keep = true;
  void run() const { ops::Orthogonalized(x, at::kBFloat16, keep).transposed(u); }
};
TEST(Refused, matrices_to_orthogonalize) {
  expect_refused<MatrixInputs>(
      {
          {"a matrix without a batch", [](auto& in) { in.x = in.x[0]; }},
          {"matrices in bf16", [](auto& in) { in.x = in.x.to(at::kBFloat16); }},
          {"a cotangent of another shape", [](auto& in) { in.u = in.u.narrow(1, 0, 2); }},
          {"iterations that were not kept", [](auto& in) { in.keep = false; }},
          {"a cotangent of another type", [](auto& in) { in.u = in.u.to(at::kHalf); }},
      },
      {at::kFloat, at::kDouble});
}

}  // namespace
}  // namespace ingrain::test
