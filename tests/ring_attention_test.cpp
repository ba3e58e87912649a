// Attention over a ring of keys, token by token: the numbers of windowed attention over all keys, whatever lies in
// slots that are not seen.
#include "ops/ring_attention/ring_attention.h"

#include "ops/backend.h"
#include "ops/checks.h"

#include "ops/qkv_rope/qkv_rope.h"
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
    {"one_head", 1, 1, 1, 8, 5, 5},          {"window_1", 3, 2, 1, 16, 3, 1},
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

  /// What windowed attention gives a sequence's token at `position`: [H, d].
  Tensor expected(const Shape& s, int64_t sequence, int64_t position, double scale) const {
    const auto tokens = [&](const Tensor& x, int64_t first, int64_t count) {
      return x.narrow(0, sequence, 1).narrow(1, first, count).contiguous();
    };
    const auto token = [&](const Tensor& x) { return tokens(x, position, 1).unsqueeze(0); };
    const ops::KvWindow past{tokens(k, 0, position), tokens(v, 0, position)};
    return ops::attention_reference.forward(token(q), token(k), token(v), past, s.window, scale).o_PBTHd[0][0][0];
  }
};

void expect_close(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const double error = (got.to(at::kDouble).cpu() - want).abs().max().item<double>();
  EXPECT_LE(error, tolerance * std::max(want.abs().max().item<double>(), 0.3));  // and not NaN
}

/// Where the sequences of a batch are: each begins later than the one before, and has no token now and then.
class Positions {
 public:
  Positions(int64_t sequences, int64_t tokens) : next_(static_cast<size_t>(sequences)), tokens_(tokens) {}

  /// Of the next step; -1 for a sequence without a token. Empty once all have had theirs.
  std::vector<int64_t> step() {
    if (std::ranges::all_of(next_, [&](int64_t n) { return n == tokens_; })) return {};
    std::vector<int64_t> out;
    for (size_t b = 0; b < next_.size(); ++b) {
      const auto turn = static_cast<int64_t>(b);
      const bool idle = steps_ < 2 * turn || (steps_ + 3 * turn) % 5 == 4 || next_[b] == tokens_;
      out.push_back(idle ? -1 : next_[b]++);
    }
    ++steps_;
    return out;
  }

 private:
  std::vector<int64_t> next_;
  int64_t tokens_, steps_ = 0;
};

/// Tokens are stored one by one in rings of NaN; slots that a query does not see are made NaN again before it looks.
void expect_equals_windowed_attention(const Shape& s, const Placing& placing, at::ScalarType type, double tolerance) {
  const std::vector<int64_t> wanted = positions_of(s);
  const Sequence all(s, wanted.back() + 1, type);
  const Tensor nothing =
      at::full({s.batch, s.slots, s.kv_heads, s.head_dim}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const Tensor k = placing.place(nothing, type), v = placing.place(nothing, type);
  const double scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
  Positions positions(s.batch, wanted.back() + 1);
  for (std::vector<int64_t> at = positions.step(); !at.empty(); at = positions.step()) {
    const auto tokens = [&](const Tensor& x) {
      std::vector<Tensor> out;
      for (int64_t b = 0; b < s.batch; ++b) out.push_back(x[b][std::max<int64_t>(at[static_cast<size_t>(b)], 0)]);
      return placing.place(at::stack(out), type);
    };
    const Tensor position_B = at::tensor(at).to(placing.device);
    std::vector<Tensor> idle;  // rings that must stay as they are
    for (int64_t b = 0; b < s.batch; ++b)
      if (at[static_cast<size_t>(b)] < 0) idle.push_back(at::stack({k[b], v[b]}));
    ops::ring_store(tokens(all.k), tokens(all.v), k, v, position_B);
    const bool look = std::ranges::any_of(at, [&](int64_t p) { return std::ranges::binary_search(wanted, p); });
    for (int64_t b = 0; b < s.batch; ++b)
      if (const int64_t p = at[static_cast<size_t>(b)]; p >= s.window && s.window < s.slots)
        for (const Tensor& ring : {k, v}) ring[b][(p - s.window) % s.slots].fill_(NAN);
    const Tensor o = look ? ops::ring_attention(tokens(all.q), k, v, position_B, s.window, scale) : Tensor();
    for (int64_t b = 0, i = 0; b < s.batch; ++b) {
      const int64_t p = at[static_cast<size_t>(b)];
      SCOPED_TRACE(testing::Message() << s.name << " sequence " << b << " at position " << p);
      if (p < 0) {
        EXPECT_TRUE(at::stack({k[b], v[b]}).allclose(idle[static_cast<size_t>(i++)], 0, 0, /*equal_nan=*/true));
        if (look) {
          EXPECT_EQ(o[b].abs().max().item<double>(), 0);
        }
      } else if (std::ranges::binary_search(wanted, p)) {
        expect_close(o[b], all.expected(s, b, p, scale), tolerance);
      }
    }
  }
}

void expect_all_equal_windowed_attention(at::Device device) {
  for (const Shape& s : kShapes)
    for (const Placing& placing : placings(device)) {
      expect_equals_windowed_attention(s, placing, at::kFloat, 1e-5);
      expect_equals_windowed_attention(s, placing, at::kBFloat16, 1e-2);
    }
}

/// A sequence whose tokens come one by one, at two places of a batch of which one lags behind.
void expect_equals_windowed_attention_with_sink(at::ScalarType type, double tolerance) {
  constexpr int64_t kWindow = 7, kSlots = 9, kTokens = 24, H = 4, G = 2, d = 16;
  at::manual_seed(8);
  const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble).to(type); };
  const Tensor q = random({1, 1, kTokens, H, d}), k = random({1, 1, kTokens, G, d}), v = random({1, 1, kTokens, G, d});
  const Tensor s = random({1, 1, kTokens, H}) * 2, sink_v = random({G, d});
  const Tensor expected = ops::windowed_attention(q, k, v, {}, kWindow, 0.25, {s, sink_v})[0][0].to(at::kDouble);
  const Tensor rings_k = at::full({2, kSlots, G, d}, NAN, type), rings_v = rings_k.clone();
  for (int64_t p = 0; p < kTokens + 3; ++p) {
    const std::vector<int64_t> at{p < kTokens ? p : -1, p - 3 >= 0 ? p - 3 : -1};
    const Tensor position_B = at::tensor(at);
    const auto both = [&](const Tensor& x) {
      return at::stack({x[0][0][std::max<int64_t>(at[0], 0)], x[0][0][std::max<int64_t>(at[1], 0)]});
    };
    ops::ring_store(both(k), both(v), rings_k, rings_v, position_B);
    const Tensor o =
        ops::ring_attention(both(q), rings_k, rings_v, position_B, kWindow, 0.25, {both(s), sink_v, /*from=*/kWindow});
    for (size_t b = 0; b < 2; ++b) {
      SCOPED_TRACE(testing::Message() << "sequence " << b << " at " << at[b]);
      const Tensor got = o[static_cast<int64_t>(b)].to(at::kDouble);
      expect_close(got, at[b] < 0 ? at::zeros_like(got) : expected[at[b]], tolerance);
    }
  }
}

TEST(RingAttention, with_a_sink_equals_windowed_attention_with_one) {
  expect_equals_windowed_attention_with_sink(at::kDouble, 1e-12);
  on_every_instruction_set([] {
    expect_equals_windowed_attention_with_sink(at::kFloat, 1e-5);
    expect_equals_windowed_attention_with_sink(at::kBFloat16, 2e-2);
  });
}

TEST(RingAttention, reference_equals_windowed_attention) {
  for (const Shape& s : kShapes) expect_equals_windowed_attention(s, {}, at::kDouble, 1e-12);
}
TEST(RingAttention, kernels_equal_windowed_attention) {
  on_every_instruction_set([] {
    for (const int threads : {1, 4}) {
      if (threads > 1 && ops::backend_for(at::empty({1}, at::kFloat)) == ops::Backend::cuda) continue;  // cuda_on_cpu
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
        ops::ring_store(k.select(1, p), v.select(1, p), rk, rv, at::full({2}, p, at::kLong));
      o.push_back(ops::ring_attention(q, rk, rv, at::full({2}, 299, at::kLong), 150, 0.125));
      EXPECT_TRUE(o.back().equal(o.front())) << slots << " slots";
    }
  }
}
TEST(RingAttention, kernels_equal_windowed_attention_on_cuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU, or a torch without CUDA";
  expect_all_equal_windowed_attention(at::kCUDA);
}

/// A token a sequence, each turned by the angle of its own position: what every sequence gets alone.
TEST(RingAttention, rotations_of_a_position_a_sequence_are_those_of_each_alone_in_kernels) {
  const ops::HeadShape shape{4, 2, 6};
  for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16})
    for (const bool interleaved : {false, true})
      for (const int64_t planes : {1, 2}) {
        const auto wide = ops::accumulate_type(type);
        const Tensor qkv = normal({planes, 3, 1, 48}, 4).to(type), norm_d = normal({6}, 5).to(wide),
                     angle_BR = normal({3, 3}, 6).to(wide);
        const auto heads = [&](const Tensor& qkv_PBTC, const Tensor& angle) {
          return ops::split_heads(qkv_PBTC, norm_d, norm_d, {angle.cos(), angle.sin(), interleaved}, shape, 1e-6);
        };
        const ops::Heads all = heads(qkv, angle_BR);
        for (int64_t b = 0; b < 3; ++b) {
          const ops::Heads alone = heads(qkv.narrow(1, b, 1), angle_BR.narrow(0, b, 1));
          EXPECT_TRUE(all.q_PBTHd.narrow(1, b, 1).equal(alone.q_PBTHd)) << type;
          EXPECT_TRUE(all.k_PBTGd.narrow(1, b, 1).equal(alone.k_PBTGd)) << type;
          EXPECT_TRUE(all.v_PBTGd.narrow(1, b, 1).equal(alone.v_PBTGd)) << type;
        }
      }
}

TEST(RingAttention, what_does_not_fit_is_refused) {
  const Tensor q = at::zeros({1, 4, 8}), ring = at::zeros({1, 6, 2, 8}), token = at::zeros({1, 2, 8}),
               position = at::zeros({1}, at::kLong);
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position, 7, 1), c10::Error) << "a window beyond the ring";
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position, 0, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q.narrow(1, 0, 3), ring, ring, position, 6, 1), c10::Error)
      << "heads that cannot share keys";
  EXPECT_THROW(ops::ring_attention(q, ring.to(at::kDouble), ring, position, 6, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q, ring.transpose(1, 2), ring.transpose(1, 2), position, 2, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position.to(at::kInt), 6, 1), c10::Error);
  EXPECT_THROW(ops::ring_attention(q, ring, ring, position.repeat(2), 6, 1), c10::Error) << "a position a sequence";
  EXPECT_THROW(ops::ring_store(q, q, ring, ring, position), c10::Error) << "as many heads as the ring";
}

}  // namespace
}  // namespace ingrain::test
