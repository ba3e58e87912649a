// The clipped SGD step on the CPU: one pass over the gradients for the norm, one over everything for the step.
// This file is compiled once per instruction set.
#include "ops/simd/targets.h"
#include "ops/graph/parallel.h"
#include "ops/sgd/sgd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/sgd/cpu.cpp"
#include <hwy/foreach_target.h>
#include "ops/simd/vec-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

float SumOfSquares(const float* g, int64_t n) {
  V even = Zero(), odd = Zero();
  const int64_t L = Lanes();
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    const V a = Load(g + i), b = Load(g + i + L);
    even = hn::MulAdd(a, a, even);
    odd = hn::MulAdd(b, b, odd);
  }
  for (; i < n; i += L) {
    const V a = LoadUpTo(g + i, n - i);
    even = hn::MulAdd(a, a, even);
  }
  return Sum(hn::Add(even, odd));
}

void Step(const float* w, const float* g, float rate, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i += Lanes())
    StoreUpTo(hn::NegMulAdd(Set(rate), LoadUpTo(g + i, n - i), LoadUpTo(w + i, n - i)), out + i, n - i);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingrain::ops {
namespace {

HWY_EXPORT(SumOfSquares);
HWY_EXPORT(Step);

/// A run of one sequence's numbers in one tensor.
struct Block {
  size_t tensor;
  int64_t sequence, first, size;
};

std::vector<Block> blocks_of(const std::vector<Tensor>& w_B) {
  constexpr int64_t kSize = 16384;
  std::vector<Block> blocks;
  for (size_t i = 0; i < w_B.size(); ++i) {
    const int64_t B = w_B[i].size(0), n = w_B[i].numel() / std::max<int64_t>(B, 1);
    for (int64_t b = 0; b < B; ++b)
      for (int64_t first = 0; first < n; first += kSize)
        blocks.push_back({i, b, b * n + first, std::min(kSize, n - first)});
  }
  return blocks;
}

Tensor step(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_in_B, const Tensor& eta_N, double clip,
            const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  std::vector<Tensor> g_B;
  for (const Tensor& g : g_in_B) g_B.push_back(g.contiguous());
  const std::vector<Block> blocks = blocks_of(w_B);
  const auto count = static_cast<int64_t>(blocks.size());
  const auto block = [&](int64_t i) { return blocks[static_cast<size_t>(i)]; };

  // A block's sum has its own place, and the sums are added in order: the result does not depend on the threads.
  std::vector<double> squares(blocks.size());
  const auto sum = HWY_DYNAMIC_DISPATCH(SumOfSquares);
  cpu::parallel_uncaptured(count, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      squares[static_cast<size_t>(i)] =
          sum(g_B[block(i).tensor].const_data_ptr<float>() + block(i).first, block(i).size);
  });
  const Tensor norm_B = at::zeros({w_B[0].size(0)}, at::kFloat);
  std::vector<double> norm(static_cast<size_t>(norm_B.size(0)));
  for (size_t i = 0; i < blocks.size(); ++i) norm[static_cast<size_t>(blocks[i].sequence)] += squares[i];
  for (size_t b = 0; b < norm.size(); ++b)
    norm_B.data_ptr<float>()[b] = static_cast<float>(norm[b] = std::sqrt(norm[b]));

  const Tensor eta = eta_N.to(at::kDouble).contiguous();
  const auto move = HWY_DYNAMIC_DISPATCH(Step);
  cpu::parallel_uncaptured(count, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Block at = block(i);
      const double n = norm[static_cast<size_t>(at.sequence)], scale = n > clip ? clip / n : 1;
      const double rate = (std::isnan(n) ? n : scale) * eta.const_data_ptr<double>()[at.tensor];
      move(w_B[at.tensor].const_data_ptr<float>() + at.first, g_B[at.tensor].const_data_ptr<float>() + at.first,
           static_cast<float>(rate), out_B[at.tensor].data_ptr<float>() + at.first, at.size);
    }
  });
  for (size_t i = 0; i < rounded_B.size(); ++i) rounded_B[i].copy_(out_B[i]);
  return norm_B;
}

}  // namespace

const SgdKernels sgd_cpu{step};

}  // namespace ingrain::ops
#endif
