// Many tensors in one piece of memory.
#include "model/weights.h"
#include "ops/memory/arena.h"
#include "tiny_model.h"

#include <gtest/gtest.h>

namespace ingrain {
namespace {

using ops::cpu::Arena;

TEST(Arena, hands_out_what_was_counted_and_no_more) {
  for (const int64_t rows : {3, 40000}) {  // small and huge pages
    Arena arena(2 * Arena::bytes_of({rows, 65}, at::kFloat) + Arena::bytes_of({3}, at::kBFloat16) +
                Arena::bytes_of({0, 4}, at::kByte));
    Tensor a = arena.take({rows, 65}, at::kFloat), b = arena.take({3}, at::kBFloat16),
           none = arena.take({0, 4}, at::kByte), c = arena.take({rows, 65}, at::kFloat);
    a.fill_(1);
    b.fill_(2);
    c.fill_(3);
    for (const Tensor& x : {a, b, c}) EXPECT_EQ(reinterpret_cast<uintptr_t>(x.data_ptr()) % 64, 0u);
    EXPECT_TRUE(a.eq(1).all().item<bool>() && b.eq(2).all().item<bool>());
    EXPECT_THROW(arena.take({1}, at::kFloat), c10::Error);
  }
}

TEST(Arena, lives_as_long_as_a_tensor_of_it) {
  Tensor kept;
  {
    Arena arena(Arena::bytes_of({1 << 20}, at::kFloat));
    kept = arena.take({1 << 20}, at::kFloat).fill_(7);
  }
  EXPECT_TRUE(kept.eq(7).all().item<bool>());
}

TEST(Arena, weights_of_a_model_lie_one_behind_the_other_and_share_nothing_else) {
  const ModelConfig c = test::tiny_config({});
  const Weights w = initial_weights(c, 3);
  const auto list = parameter_list(c, w);
  for (size_t i = 1; i < list.size(); ++i) EXPECT_GT(list[i].data_ptr(), list[i - 1].data_ptr());
  const Tensor second = list[1].clone();
  list[0].fill_(9);  // the embedding
  EXPECT_TRUE(list[1].equal(second));
  EXPECT_EQ(convert(c, w, at::kFloat).embedding_VD.data_ptr(), list[0].data_ptr()) << "needs no change";
  const Weights half = convert(c, w, at::kBFloat16);
  EXPECT_TRUE(half.embedding_VD.eq(9).all().item<bool>());
  EXPECT_EQ(half.final_norm_D.data_ptr(), w.final_norm_D.data_ptr()) << "norms keep fp32";
}

}  // namespace
}  // namespace ingrain
