// Products of 16x16 matrices: every way an operand can lie in memory, and sums as operands.
#include "ops/cuda/launch.cuh"
#include "ops/cuda/matrix16.cuh"

#include <gtest/gtest.h>

namespace ingrain::test {
namespace {

using namespace ops::cuda;

constexpr int kLd = 24;  // rows on 16 bytes, and a gap behind them

/// to = left right, then to_2 = (left right) right, where the first product's sum becomes the left operand.
template <class T, bool kTransposed>
__global__ void products(const T* left, const T* right, float* to, float* to_2) {
  T* const room = reinterpret_cast<T*>(shared_memory());
  for (int i = lane(); i < 16 * kLd; i += 32) room[i] = left[i], room[16 * kLd + i] = right[i];
  float* const scratch = reinterpret_cast<float*>(shared_memory() + 2 * 16 * kLd * sizeof(float));
  __syncwarp();
  const Right<T, kTransposed> b(room + 16 * kLd, kLd);
  Sum sum, sum_2;
  add_product(sum, Left<T>(room, kLd), b);
  add_product(sum_2, Left<T>(sum, scratch), b);
  for (int i = 0; i < 8; ++i) {
    const int at = row_of(i) * 16 + column_of(i);
    to[at] = sum.x[i], to_2[at] = sum_2.x[i];
  }
}

/// Whole numbers, small enough that bf16 and its products have them exactly.
template <class T, bool kTransposed>
void expect_exact_products() {
  std::vector<T> left(16 * kLd), right(16 * kLd);
  const auto a = [](int i, int k) { return float((3 * i + 5 * k) % 4 - 1); };
  const auto b = [](int k, int n) { return k == n ? 2.0f : k == n + 1 || n == k + 5 ? 1.0f : 0.0f; };
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      left[size_t(i * kLd + j)] = from_float<T>(a(i, j));
      right[size_t(i * kLd + j)] = from_float<T>(kTransposed ? b(j, i) : b(i, j));
    }
  std::vector<float> to(256), to_2(256);
  launch("products", products<T, kTransposed>, {dim3(1), 32, (2 * 16 * kLd + 320) * sizeof(float)}, nullptr,
         left.data(), right.data(), to.data(), to_2.data());
  for (int i = 0; i < 16; ++i)
    for (int n = 0; n < 16; ++n) {
      float want = 0, want_2 = 0;
      for (int k = 0; k < 16; ++k) want += a(i, k) * b(k, n), want_2 += to[size_t(i * 16 + k)] * b(k, n);
      EXPECT_EQ(to[size_t(i * 16 + n)], want) << i << ' ' << n;
      EXPECT_EQ(to_2[size_t(i * 16 + n)], want_2) << i << ' ' << n;
    }
}

TEST(CudaOnCpu, products_of_bf16_matrices) { expect_exact_products<__nv_bfloat16, false>(); }
TEST(CudaOnCpu, products_with_a_transposed_bf16_matrix) { expect_exact_products<__nv_bfloat16, true>(); }
TEST(CudaOnCpu, products_of_fp32_matrices) { expect_exact_products<float, false>(); }
TEST(CudaOnCpu, products_with_a_transposed_fp32_matrix) { expect_exact_products<float, true>(); }

}  // namespace
}  // namespace ingrain::test
