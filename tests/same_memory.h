// Whether two memories are the same: everything that later tokens depend on.
#pragma once

#include "tiny_model.h"
#include "ttt/memory.h"

#include <gtest/gtest.h>

namespace ingrain::test {

/// Also equal where `tolerance` is 0: to the last bit.
inline void expect_close_tensors(const Tensor& a, const Tensor& b, double tolerance, const std::string& what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (!a.defined()) return;
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  ASSERT_EQ(a.scalar_type(), b.scalar_type()) << what;
  if (a.numel() == 0) return;
  EXPECT_LE(max_difference(a, b), tolerance) << what;
}

inline void expect_same_memory(const Network& model, const ttt::Memory& a, const ttt::Memory& b,
                               double tolerance = 1e-11) {
  EXPECT_EQ(a.position, b.position);
  EXPECT_EQ(a.steps, b.steps);
  ASSERT_EQ(a.filled, b.filled);
  ASSERT_EQ(a.W_S.size(), b.W_S.size());
  for (size_t s = 0; s < a.W_S.size(); ++s) {
    expect_close_tensors(a.W_S[s].w13_FD, b.W_S[s].w13_FD, tolerance, fmt::format("w13 of suffix block {}", s));
    expect_close_tensors(a.W_S[s].w2_DF, b.W_S[s].w2_DF, tolerance, fmt::format("w2 of suffix block {}", s));
  }
  ASSERT_EQ(a.kv_L.size(), b.kv_L.size());
  for (size_t l = 0; l < a.kv_L.size(); ++l) {
    ASSERT_EQ(a.kv_L[l].length(), b.kv_L[l].length()) << "block " << l;
    if (a.kv_L[l].length() == 0) continue;
    const ops::KvWindow x = a.kv_L[l].last(a.kv_L[l].length()), y = b.kv_L[l].last(b.kv_L[l].length());
    expect_close_tensors(x.k_BWGd, y.k_BWGd, tolerance, fmt::format("keys of block {}", l));
    expect_close_tensors(x.v_BWGd, y.v_BWGd, tolerance, fmt::format("values of block {}", l));
  }
  if (a.filled > 0) {
    const auto chunk = [&](const Tensor& x_Bb) { return x_Bb.narrow(1, 0, a.filled); };
    expect_close_tensors(chunk(a.h_BbD), chunk(b.h_BbD), tolerance, "the unfinished chunk's inputs");
    EXPECT_TRUE(chunk(a.target_Bb).equal(chunk(b.target_Bb)));
    EXPECT_TRUE(chunk(a.valid_Bb).equal(chunk(b.valid_Bb)));
  }
  expect_close_tensors(a.x_BD, b.x_BD, tolerance, "the last output");
  if (a.x_BD.defined())
    expect_close_tensors(next_logits(model, a), next_logits(model, b), tolerance, "the next token's logits");
}

}  // namespace ingrain::test
