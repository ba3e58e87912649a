// Attention over a ring of keys, token by token: the numbers of windowed attention over all keys, whatever lies in
// slots that are not seen.
#include "ops/ring_attention/ring_attention.h"

#include "ops/windowed_attention/windowed_attention.h"
#include "instruction_sets.h"
#include "placing.h"
#include "threads.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace ingrain::test {
namespace {

struct Shape {
  const char* name;
  int64_t batch, q_heads, kv_heads, head_dim, slots, window;
};

const Shape kShapes[] = {
    {"one_head", 1, 1, 1, 8, 5, 5},          {"window_1", 2, 2, 1, 16, 3, 1},
    {"one_slot", 1, 2, 2, 8, 1, 1},          {"window_below_slots", 2, 4, 2, 64, 37, 22},
    {"grouped_by_3", 1, 9, 3, 64, 150, 150}, {"grouped_by_5", 2, 5, 1, 96, 70, 69},
    {"grouped_by_11", 1, 22, 2, 32, 20, 17}, {"head_dim_128", 1, 4, 2, 128, 131, 130},
    {"head_dim_256", 1, 2, 1, 256, 70, 66},  {"odd_head_dim", 2, 2, 1, 13, 90, 77},
    {"large_head_dim", 1, 2, 1, 260, 9, 9},  {"many_segments", 1, 3, 1, 64, 330, 300},
};

/// Positions worth a look: the first ones, around the window's and the ring's ends, and in later turns.
std::vector<int64_t> positions_of(const Shape& s) {
  std::vector<int64_t> all{0, 1, s.window - 1, s.window, s.slots - 1, s.slots, s.slots + 1, 2 * s.slots + s.window / 2};
  std::ranges::sort(all);
  all.erase(std::ranges::unique(all).begin(), all.end());
  return all;
}

Tensor normal(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble);
}

/// Everything a sequence of tokens has, in numbers of `type`; [B, T, heads, d] in fp64.
struct Sequence {
  Tensor q, k, v;
  Sequence(const Shape& s, int64_t tokens, at::ScalarType type)
      : q(normal({s.batch, tokens, s.q_heads, s.head_dim}, 1).to(type).to(at::kDouble)),
        k(normal({s.batch, tokens, s.kv_heads, s.head_dim}, 2).to(type).to(at::kDouble)),
        v(normal({s.batch, tokens, s.kv_heads, s.head_dim}, 3).to(type).to(at::kDouble)) {}

  /// What windowed attention gives the token at `position`.
  Tensor expected(const Shape& s, int64_t position, double scale) const {
    const auto token = [&](const Tensor& x) { return x.narrow(1, position, 1).unsqueeze(0).contiguous(); };
    const ops::KvWindow past{k.narrow(1, 0, position).contiguous(), v.narrow(1, 0, position).contiguous()};
    return ops::attention_reference.forward(token(q), token(k), token(v), past, s.window, scale)
        .o_PBTHd[0]
        .select(1, 0);
  }
};

void expect_close(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const double error = (got.to(at::kDouble).cpu() - want).abs().max().item<double>();
  EXPECT_LE(error, tolerance * std::max(want.abs().max().item<double>(), 0.3));  // and not NaN
}

/// Tokens are stored one by one in a ring of NaN; slots that a query does not see are made NaN again before it looks.
void expect_equals_windowed_attention(const Shape& s, const Placing& placing, at::ScalarType type, double tolerance) {
  const std::vector<int64_t> positions = positions_of(s);
  const Sequence sequence(s, positions.back() + 1, type);
  const Tensor nothing =
      at::full({s.batch, s.slots, s.kv_heads, s.head_dim}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const Tensor k = placing.place(nothing, type), v = placing.place(nothing, type);
  const double scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
  for (int64_t p = 0; p <= positions.back(); ++p) {
    const auto token = [&](const Tensor& x) { return placing.place(x.select(1, p), type); };
    const Tensor position = at::full({}, p, at::TensorOptions().device(placing.device).dtype(at::kLong));
    ops::ring_store(token(sequence.k), token(sequence.v), k, v, position);
    if (p >= s.window && s.window < s.slots)
      for (const Tensor& ring : {k, v}) ring.select(1, (p - s.window) % s.slots).fill_(NAN);
    if (!std::ranges::binary_search(positions, p)) continue;
    SCOPED_TRACE(testing::Message() << s.name << " at position " << p);
    expect_close(ops::ring_attention(token(sequence.q), k, v, position, s.window, scale),
                 sequence.expected(s, p, scale), tolerance);
  }
}

void expect_all_equal_windowed_attention(at::Device device) {
  for (const Shape& s : kShapes)
    for (const Placing& placing : placings(device)) {
      expect_equals_windowed_attention(s, placing, at::kFloat, 1e-5);
      expect_equals_windowed_attention(s, placing, at::kBFloat16, 1e-2);
    }
}

TEST(RingAttention, reference_equals_windowed_attention) {
  for (const Shape& s : kShapes) expect_equals_windowed_attention(s, {}, at::kDouble, 1e-12);
}
TEST(RingAttention, kernels_equal_windowed_attention) {
  on_every_instruction_set([] {
    for (const int threads : {1, 4}) {
      const Threads guard(threads);
      expect_all_equal_windowed_attention(at::kCPU);
    }
  });
}

/// Where the ring begins must not be seen in the sums: a memory that is saved and loaded goes on to the last bit.
TEST(RingAttention, the_ring_s_length_changes_no_bit) {
  const Threads threads(4);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const Tensor q = normal({2, 6, 64}, 1).to(type), k = normal({2, 300, 2, 64}, 2).to(type),
                 v = normal({2, 300, 2, 64}, 3).to(type);
    std::vector<Tensor> o;
    for (const int64_t slots : {150, 151, 173, 300}) {
      const Tensor rk = at::zeros({2, slots, 2, 64}, type), rv = at::zeros({2, slots, 2, 64}, type);
      for (int64_t p = 0; p < 300; ++p)
        ops::ring_store(k.select(1, p), v.select(1, p), rk, rv, at::full({}, p, at::kLong));
      o.push_back(ops::ring_attention(q, rk, rv, at::full({}, 299, at::kLong), 150, 0.125));
      EXPECT_TRUE(o.back().equal(o.front())) << slots << " slots";
    }
  }
}
TEST(RingAttention, kernels_equal_windowed_attention_on_cuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  expect_all_equal_windowed_attention(at::kCUDA);
}

TEST(RingAttention, what_does_not_fit_is_refused) {
  const Tensor q = at::zeros({1, 4, 8}), ring = at::zeros({1, 6, 2, 8}), token = at::zeros({1, 2, 8}),
               position = at::zeros({}, at::kLong);
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position, 7, 1), c10::Error) << "a window beyond the ring";
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position, 0, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q.narrow(1, 0, 3), ring, ring, position, 6, 1), c10::Error)
      << "heads that cannot share keys";
  EXPECT_THROW(ops::ring_attention(q, ring.to(at::kDouble), ring, position, 6, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q, ring.transpose(1, 2), ring.transpose(1, 2), position, 2, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position.to(at::kInt), 6, 1), c10::Error);
  EXPECT_THROW(ops::ring_store(q, q, ring, ring, position), c10::Error) << "as many heads as the ring";
}

}  // namespace
}  // namespace ingrain::test
