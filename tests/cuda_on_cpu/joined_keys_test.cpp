// Keys in one piece: without a copy where the cache holds them so, with the same numbers where it does not.
#include "ops/windowed_attention/cuda/joined_keys.h"

#include <gtest/gtest.h>

namespace ingrain::test {
namespace {

using ops::joined;
using ops::JoinedKeys;
using ops::with_aligned_rows;

constexpr int64_t kB = 2, kG = 3, kD = 8;

/// A cache: [B, positions, G, d].
Tensor cache_of(int64_t positions, int64_t batch = kB) {
  return at::arange(batch * positions * kG * kD, at::kFloat).view({batch, positions, kG, kD});
}

TEST(CudaOnCpu, neighbours_in_a_cache_are_joined_without_a_copy) {
  const Tensor cache = cache_of(20);
  const Tensor past = cache.narrow(1, 3, 7), now = cache.narrow(1, 10, 5), both = joined(past, now);
  EXPECT_EQ(both.data_ptr(), past.data_ptr());
  EXPECT_TRUE(both.equal(cache.narrow(1, 3, 12)));
}

TEST(CudaOnCpu, a_single_sequence_may_have_any_batch_stride) {
  const Tensor cache = cache_of(20, 1);
  const Tensor past = cache.narrow(1, 0, 7), now = cache.select(0, 0).narrow(0, 7, 5).unsqueeze(0);
  ASSERT_NE(past.stride(0), now.stride(0));
  EXPECT_EQ(joined(past, now).data_ptr(), past.data_ptr());
  EXPECT_TRUE(joined(past, now).equal(cache.narrow(1, 0, 12)));
}

TEST(CudaOnCpu, what_does_not_follow_is_copied) {
  const Tensor cache = cache_of(20), past = cache.narrow(1, 3, 7);
  for (const Tensor& now : {cache.narrow(1, 11, 5), cache.narrow(1, 2, 5), cache.narrow(1, 10, 5).clone(),
                            cache.transpose(0, 1).contiguous().transpose(0, 1).narrow(1, 10, 5)}) {
    const Tensor both = joined(past, now);
    EXPECT_FALSE(both.is_alias_of(past));
    EXPECT_TRUE(both.equal(at::cat({past, now}, 1)));
  }
}

TEST(CudaOnCpu, joined_keys_leave_out_what_no_query_sees) {
  const Tensor cache = cache_of(20);
  const Tensor now = cache.narrow(1, 10, 5).unsqueeze(0);
  const ops::KvWindow past{cache.narrow(1, 2, 8), cache.narrow(1, 2, 8)};
  for (const int64_t window : {1, 4, 8, 9, 100}) {
    SCOPED_TRACE(window);
    const JoinedKeys keys(now, now, past, window);
    EXPECT_EQ(keys.past, std::min<int64_t>(8, window - 1));
    EXPECT_EQ(keys.unseen, 8 - keys.past);
    EXPECT_TRUE(keys.k_BKGd.is_alias_of(cache) && keys.v_BKGd.is_alias_of(cache));
    EXPECT_TRUE(keys.k_BKGd.equal(cache.narrow(1, 10 - keys.past, keys.past + 5)));
  }
  EXPECT_EQ(JoinedKeys(now, now, {}, 4).past, 0);
}

TEST(CudaOnCpu, rows_are_copied_only_where_they_are_not_aligned) {
  const Tensor storage = at::arange(1000, at::kBFloat16);
  const Tensor aligned = storage.narrow(0, 8, 96).view({1, 4, 3, 8});
  EXPECT_EQ(with_aligned_rows(aligned).data_ptr(), aligned.data_ptr());
  const Tensor gaps = storage.as_strided({2, 4, 3, 8}, {400, 40, 8, 1});
  EXPECT_EQ(with_aligned_rows(gaps).data_ptr(), gaps.data_ptr());
  for (const Tensor& x : {storage.narrow(0, 1, 96).view({1, 4, 3, 8}),
                          storage.as_strided({1, 4, 3, 8}, {400, 44, 8, 1}), aligned.transpose(2, 3)}) {
    const Tensor copy = with_aligned_rows(x);
    EXPECT_FALSE(copy.is_alias_of(x));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(copy.data_ptr()) % 16, 0u);
    EXPECT_TRUE(copy.equal(x));
  }
}

}  // namespace
}  // namespace ingrain::test
