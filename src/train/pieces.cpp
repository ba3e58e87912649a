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

int64_t bucket_size(int64_t count, int ranks) {
  // So many that most of them are on their way before the backward pass ends; none so small that a message (a rank's
  // part of it) is mostly its start, or so large that it does not fit beside the model.
  constexpr int64_t kBuckets = 32, kLeast = 1 << 18, kLeastOfRank = 1 << 16, kMost = 1 << 23;
  const int64_t size = std::clamp(std::max(count / kBuckets, ranks * kLeastOfRank), kLeast, kMost);
  return (size + kBlock - 1) / kBlock * kBlock;
}

std::vector<Bucket> buckets_of(int64_t count, int64_t bucket_size, int ranks) {
  std::vector<Bucket> out;
  for (int64_t first = 0; first < count; first += bucket_size) {
    Bucket& bucket = out.emplace_back(Bucket{{first, std::min(first + bucket_size, count)}, {}});
    const auto numbers = static_cast<uint64_t>(bucket.whole.end - first);
    for (const auto& [begin, n] : distributed::parts_of(numbers, static_cast<uint64_t>(kBlock), ranks))
      bucket.of_R.push_back({first + static_cast<int64_t>(begin), first + static_cast<int64_t>(begin + n)});
  }
  return out;
}

std::vector<Stretch> stretches_of(const std::vector<Bucket>& buckets, int rank) {
  std::vector<Stretch> out;
  for (const Bucket& bucket : buckets) {
    const Stretch& mine = bucket.of_R[static_cast<size_t>(rank)];
    if (mine.begin == mine.end) continue;
    if (!out.empty() && out.back().end == mine.begin)
      out.back().end = mine.end;
    else
      out.push_back(mine);
  }
  return out;
}

int64_t count_of(std::span<const Stretch> stretches) {
  int64_t count = 0;
  for (const Stretch& s : stretches) count += s.end - s.begin;
  return count;
}

std::vector<Piece> pieces_of(const GradientSums& gradients, std::span<const Stretch> own) {
  std::vector<Piece> out;
  for (const GradientSums::Place& place : gradients.places()) {
    for (const Stretch& s : own) {
      const int64_t begin = std::max(place.begin, s.begin), end = std::min(place.begin + place.count, s.end);
      if (begin < end) out.push_back({place.name, place.kind, place.shape, begin - place.begin, end - begin, begin});
    }
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
