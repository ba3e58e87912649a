// Products with few rows: one sequence or several, weights as wide as the rows or wider, wherever they lie.
#include "ops/gemv/gemv.h"

#include "instruction_sets.h"
#include "ops/linear/linear.h"
#include "placing.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace ingrain::test {
namespace {

Tensor normal(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble);
}

struct Types {
  at::ScalarType rows, weights;
  double tolerance;
};
const Types kTypes[] = {
    {at::kFloat, at::kFloat, 1e-5}, {at::kBFloat16, at::kBFloat16, 8e-3}, {at::kBFloat16, at::kFloat, 8e-3}};

void expect_close(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const double error = (got.to(at::kDouble).cpu() - want).abs().max().item<double>();
  EXPECT_LE(error, tolerance * std::max(want.abs().max().item<double>(), 0.3));  // and not NaN
}

/// The product of rows and weights as they came to be in their types, the weights rounded to the rows'.
Tensor exact(const Tensor& a, const Tensor& b) {
  return a.cpu().to(at::kDouble).matmul(b.cpu().to(a.scalar_type()).to(at::kDouble).transpose(-1, -2));
}

/// As many rows as the kernels take.
void expect_exact(const Types& types, const Placing& placing, int64_t n, int64_t k, int64_t batch) {
  int64_t taken = 0;
  for (const int64_t m : {1, 2, 3, 4, 5, 8, 9}) {
    SCOPED_TRACE(testing::Message() << batch << " x " << m << " x " << n << " x " << k << " of " << types.rows
                                    << " and " << types.weights << " at " << placing.offset);
    const auto sizes = [&](int64_t rows) { return batch > 0 ? std::vector{batch, rows, k} : std::vector{rows, k}; };
    const Tensor a = placing.place(normal(sizes(m), 1), types.rows),
                 b = placing.place(normal(sizes(n), 2), types.weights);
    if (!ops::gemv_fits(a, b)) continue;
    ++taken;
    const Tensor c = ops::gemv_nt(a, b);
    EXPECT_EQ(c.scalar_type(), types.rows);
    expect_close(c, exact(a, b), types.tolerance);
  }
  EXPECT_GE(taken, 4);
  EXPECT_LT(taken, 7) << "many rows are for others";
}

void expect_all_exact(const Placing& placing) {
  for (const Types& types : kTypes) {
    for (const int64_t n : {1, 19})
      for (const int64_t k : {1, 24, 100, 1304}) expect_exact(types, placing, n, k, 0);
    for (const int64_t k : {31, 64}) expect_exact(types, placing, 9, k, 3);
    expect_exact(types, placing, 3, 9000, 0);
  }
}

TEST(Gemv, kernels_are_exact) {
  on_every_instruction_set([] {
    for (const Placing& placing : placings(at::kCPU)) expect_all_exact(placing);
  });
}
TEST(Gemv, kernels_are_exact_on_cuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  for (const Placing& placing : placings(at::kCUDA)) expect_all_exact(placing);
}

TEST(Gemv, kernels_read_weights_where_they_lie) {
  const Placing placing;
  for (const Types& types : kTypes) {
    const Tensor a = placing.place(normal({3, 2, 64}, 1), types.rows),
                 all = placing.place(normal({3, 40, 96}, 2), types.weights);
    for (const Tensor& b : {all.narrow(2, 32, 64), all.narrow(2, 3, 64), all.narrow(1, 7, 9).narrow(2, 0, 64),
                            all.narrow(0, 1, 1).narrow(2, 0, 64).expand({3, 40, 64})}) {
      ASSERT_TRUE(ops::gemv_fits(a, b));
      expect_close(ops::gemv_nt(a, b), exact(a, b), types.tolerance);
    }
    EXPECT_FALSE(ops::gemv_fits(a, all.narrow(1, 0, 16).narrow(2, 0, 64).transpose(1, 2))) << "rows that are columns";
  }
}

TEST(Gemv, fp32_weights_meet_bf16_rows_as_if_rounded_before) {
  on_every_instruction_set([] {
    for (const int64_t k : {5, 32, 100}) {
      const Tensor a = normal({3, k}, 4).to(at::kBFloat16), w = normal({9, k}, 5).to(at::kFloat);
      ASSERT_TRUE(ops::gemv_fits(a, w));
      EXPECT_TRUE(ops::gemv_nt(a, w).equal(ops::gemv_nt(a, w.to(at::kBFloat16))));
    }
  });
}

/// Shared weights change no bit.
TEST(Gemv, sequences_that_share_weights_get_what_each_gets_from_a_copy) {
  on_every_instruction_set([] {
    for (const Types& types : kTypes) {
      for (const int64_t m : {1, 3}) {
        const Tensor a = normal({70, m, 37}, 8).to(types.rows), b = normal({70, 19, 37}, 9).to(types.weights);
        at::manual_seed(10);
        for (const int64_t different : {1, 3, 70}) {
          const Tensor whose = at::randint(0, different, {70}, at::kLong);
          const Tensor c = ops::gemv_nt_shared(a, b, whose);
          EXPECT_TRUE(c.equal(ops::gemv_nt(a, b.index_select(0, whose)))) << m << " " << different;
          whose[4] = whose[66] = -1;
          const Tensor without = ops::gemv_nt_shared(a, b, whose);
          EXPECT_EQ(without[4].count_nonzero().item<int64_t>() + without[66].count_nonzero().item<int64_t>(), 0);
          EXPECT_TRUE(without.narrow(0, 5, 61).equal(c.narrow(0, 5, 61)));
        }
      }
    }
  });
}

TEST(Gemv, kernels_give_a_token_of_every_sequence_its_own_fast_weights) {
  const at::NoGradGuard no_grad;
  for (const int64_t P : {1, 2}) {
    const Tensor x = normal({P, 3, 1, 64}, 6).to(at::kBFloat16), w = normal({3, 20, 64}, 7).to(at::kFloat);
    const Tensor y = ops::fast_linear(x, w);
    for (int64_t p = 0; p < P; ++p) expect_close(y[p], exact(x[p], w), 8e-3);
  }
}

}  // namespace
}  // namespace ingrain::test
