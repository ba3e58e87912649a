#include "train/pieces.h"

#include <ATen/Parallel.h>

namespace ingrain::train {
namespace {

/// In eight lanes, which are added in their order.
template <class Number>
double sum_of_squares(const Number* x, int64_t n) {
  constexpr int64_t kLanes = 8;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  for (; i < n; ++i) lanes[i % kLanes] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <class Number>
Tensor squares_on_cpu(const Tensor& x_n) {
  const int64_t n = x_n.numel(), blocks = (n + kBlock - 1) / kBlock;
  const Tensor out = at::empty({blocks}, at::kDouble);
  const Number* x = x_n.const_data_ptr<Number>();
  double* sums = out.data_ptr<double>();
  at::parallel_for(0, blocks, /*grain_size=*/16, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) sums[b] = sum_of_squares(x + b * kBlock, std::min(kBlock, n - b * kBlock));
  });
  return out;
}

}  // namespace

std::vector<Stretch> stretches_of(const GradientSums& gradients, int ranks) {
  std::vector<Stretch> out;
  const auto count = static_cast<uint64_t>(gradients.flat().numel());
  for (const auto& [begin, size] : distributed::parts_of(count, static_cast<uint64_t>(kBlock), ranks))
    out.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(begin + size)});
  return out;
}

std::vector<Piece> pieces_of(const GradientSums& gradients, const Stretch& own) {
  std::vector<Piece> out;
  for (const GradientSums::Place& place : gradients.places()) {
    const int64_t begin = std::max(place.begin, own.begin), end = std::min(place.begin + place.count, own.end);
    if (begin < end) out.push_back({place.name, place.kind, place.shape, begin - place.begin, end - begin, begin});
  }
  return out;
}

Tensor block_squares(const Tensor& x_n) {
  const at::NoGradGuard no_grad;
  if (x_n.is_cpu()) return x_n.scalar_type() == at::kDouble ? squares_on_cpu<double>(x_n) : squares_on_cpu<float>(x_n);
  const int64_t whole = x_n.numel() / kBlock * kBlock;
  std::vector<Tensor> norms;
  if (whole > 0) norms.push_back(at::linalg_vector_norm(x_n.narrow(0, 0, whole).view({-1, kBlock}), 2, {1}));
  if (whole < x_n.numel())
    norms.push_back(at::linalg_vector_norm(x_n.narrow(0, whole, x_n.numel() - whole), 2).view({1}));
  if (norms.empty()) return at::zeros({0}, x_n.options().dtype(at::kDouble));
  return at::cat(norms).to(at::kDouble).square();
}

}  // namespace ingrain::train
