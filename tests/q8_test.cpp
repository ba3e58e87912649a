// Slow weights in eight bits: the packed form, its product on every instruction set, and a model that uses it.
#include "base/error.h"
#include "instruction_sets.h"
#include "model/packed.h"
#include "ops/linear/q8.h"
#include "tiny_model.h"
#include "ttt/memory.h"

#include <gtest/gtest.h>

namespace ingrain {
namespace {

using test::max_difference;
using test::on_every_instruction_set;

TEST(Q8, every_weight_is_within_half_a_step_of_its_own) {
  at::manual_seed(1);
  const Tensor w = at::randn({7, 96}) * at::tensor({1e-6f, 1.0f, 30.0f}).repeat_interleave(32);
  const Tensor step = w.view({7, 3, 32}).abs().amax(-1, true) / 127;
  const Tensor off = (ops::unpack_q8(ops::pack_q8(w)) - w).view({7, 3, 32}).abs();
  EXPECT_LE((off / step).max().item<float>(), 0.5f + 1e-4f);
  EXPECT_GT((off / step).max().item<float>(), 0.4f) << "eight bits, not more";
}

TEST(Q8, zeros_and_packed_weights_come_back_as_they_were) {
  const Tensor zeros = at::zeros({3, 64});
  EXPECT_TRUE(ops::unpack_q8(ops::pack_q8(zeros)).equal(zeros));
  at::manual_seed(2);
  const Tensor once = ops::unpack_q8(ops::pack_q8(at::randn({5, 64})));
  EXPECT_LT(max_difference(ops::unpack_q8(ops::pack_q8(once)), once), 1e-6);
}

TEST(Q8, rows_that_are_no_whole_blocks_are_refused) {
  EXPECT_THROW(ops::pack_q8(at::ones({2, 40})), Error);
  EXPECT_THROW(ops::q8_nt(at::ones({1, 32}), ops::pack_q8(at::ones({2, 64}))), Error);
}

TEST(Q8, the_product_is_that_with_the_unpacked_weights) {
  at::manual_seed(3);
  on_every_instruction_set([] {
    for (const int64_t m : {1, 2, 3, 8, 11}) {
      for (const int64_t n : {1, 3, 4, 130}) {
        for (const int64_t k : {32, 96, 576}) {
          const Tensor a = at::randn({m, k}), packed = ops::pack_q8(at::randn({n, k}));
          const Tensor w = ops::unpack_q8(packed).to(at::kDouble);
          for (const auto type : {at::kFloat, at::kBFloat16}) {
            const Tensor x = a.to(type).to(at::kDouble), off = (ops::q8_nt(a.to(type), packed).to(at::kDouble) - at::mm(x, w.t())).abs();
            // Half a step of a block's whole numbers times its weights; and the rounding of sums, and of the result.
            const Tensor step = x.view({m, k / 32, 32}).abs().amax(-1, true) / 32767;
            const Tensor bound = at::mm((step / 2).expand({m, k / 32, 32}).reshape({m, k}), w.abs().t());
            const Tensor rounding = at::mm(x.abs(), w.abs().t()) * 1e-6 + at::mm(x, w.t()).abs() * (type == at::kFloat ? 0 : 0.004);
            EXPECT_TRUE((off <= bound + rounding).all().item<bool>()) << m << " x " << n << " x " << k << " " << type;
          }
        }
      }
    }
  });
}

TEST(Q8, activations_of_any_size_keep_their_digits_and_nan_stays) {
  on_every_instruction_set([] {
    const Tensor packed = ops::pack_q8(at::ones({3, 96}));
    for (const float size : {0.0f, 1e-38f, 1e-25f, 1e25f}) {
      const Tensor a = at::full({2, 96}, size);
      EXPECT_TRUE(ops::q8_nt(a, packed).allclose(at::full({2, 3}, 96 * size), 1e-4, 1e-28)) << size;
    }
    for (const float wrong : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      Tensor a = at::ones({2, 96});
      a[1][40] = wrong;
      EXPECT_TRUE(ops::q8_nt(a, packed)[0].isfinite().all().item<bool>());
      EXPECT_TRUE(ops::q8_nt(a, packed)[1].isnan().all().item<bool>());
    }
  });
}

/// Wide enough for whole blocks; the MLPs' rows of 24 and 20 stay unpacked.
Network packed_model(at::ScalarType type) {
  ModelConfig c = test::tiny_config({});
  c.hidden_size = 32;
  c.head_dim = 16;
  Network model{c, convert(c, initial_weights(c, 5), type), "tiny"};
  pack_slow_weights(model);
  return model;
}

TEST(Packed, reading_in_any_split_gives_the_same_memory_and_scores) {  // up to the rounding of activations, which single tokens get
  const Network model = packed_model(at::kFloat);
  const Tensor tokens = test::random_tokens(model.config, 1, 61);
  ttt::Memory whole = ttt::empty_memory(model), parts = ttt::empty_memory(model);
  const Tensor scores = ttt::read(model, whole, tokens).nll_Bn;
  std::vector<Tensor> one_by_one;
  for (int64_t i = 0; i < 61; ++i) one_by_one.push_back(ttt::read(model, parts, tokens.narrow(1, i, 1)).nll_Bn);
  EXPECT_LT(max_difference(scores.narrow(1, 1, 60), at::cat(one_by_one, 1).narrow(1, 1, 60)), 2e-3);
  EXPECT_LT(max_difference(whole.W_S[0].w13_FD, parts.W_S[0].w13_FD), 1e-4);
  EXPECT_LT(max_difference(ttt::next_logits(model, whole), ttt::next_logits(model, parts)), 2e-3);
}

TEST(Packed, only_slow_matrices_change) {
  const ModelConfig c = packed_model(at::kFloat).config;
  const Network native{c, initial_weights(c, 5), "tiny"}, model = packed_model(at::kFloat);
  ASSERT_TRUE(model.packed.has_value());
  EXPECT_TRUE(ops::is_q8(model.packed->head())) << "a tied head is packed";
  EXPECT_FALSE(ops::is_q8(model.packed->embedding_VD)) << "the embedding is looked up";
  EXPECT_TRUE(ops::is_q8(model.packed->blocks[0].wqkv_CD));
  EXPECT_FALSE(ops::is_q8(model.packed->blocks[0].mlp.w2_DF)) << "rows of 24";
  EXPECT_TRUE(model.weights.fast_S[0].w13_FD.equal(native.weights.fast_S[0].w13_FD));
  EXPECT_FALSE(model.weights.blocks[0].wqkv_CD.equal(native.weights.blocks[0].wqkv_CD));
  EXPECT_TRUE(model.weights.blocks[0].wqkv_CD.equal(ops::unpack_q8(model.packed->blocks[0].wqkv_CD)));
}

TEST(Packed, fp64_models_are_refused) { EXPECT_THROW(packed_model(at::kDouble), Error); }

}  // namespace
}  // namespace ingrain
