// Whether two memories are the same: everything that later tokens depend on.
#pragma once

#include "tiny_model.h"
#include "ttt/read.h"

#include <gtest/gtest.h>

#include <map>

namespace ingrain::test {

/// The same numbers by another order of sums, in fp64.
constexpr double kSame = 1e-11;

/// Also equal where `tolerance` is 0: to the last bit.
inline void expect_close_tensors(const Tensor& a, const Tensor& b, double tolerance, const std::string& what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (!a.defined()) return;
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  ASSERT_EQ(a.scalar_type(), b.scalar_type()) << what;
  if (a.numel() == 0) return;
  if (!at::isFloatingType(a.scalar_type())) {
    EXPECT_TRUE(a.equal(b)) << what;
    return;
  }
  EXPECT_LE(max_difference(a, b), tolerance) << what;
}

inline void expect_same_memory(const Network& model, const ttt::Memory& a, const ttt::Memory& b,
                               double tolerance = kSame) {
  EXPECT_EQ(a.position, b.position);
  EXPECT_EQ(a.steps, b.steps);
  ASSERT_EQ(a.filled, b.filled);
  const auto tensors = [](const ttt::Memory& m) {
    std::map<std::string, Tensor> out;
    m.visit([&](const std::string& name, const Tensor& x) { out[name] = x; });
    return out;
  };
  const auto in_a = tensors(a), in_b = tensors(b);
  EXPECT_EQ(in_a.size(), in_b.size());
  for (const auto& [name, x] : in_a) {
    ASSERT_TRUE(in_b.contains(name)) << name;
    expect_close_tensors(x, in_b.at(name), tolerance, name);
  }
  if (a.x_BD.defined())
    expect_close_tensors(next_logits(model, a), next_logits(model, b), tolerance, "the next token's logits");
}

}  // namespace ingrain::test
