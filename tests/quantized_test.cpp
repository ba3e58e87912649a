// Slow weights in few bits: the quantized forms, their product on every instruction set, and a model that uses them.
#include "base/error.h"
#include "formats/gguf_quants.h"
#include "instruction_sets.h"
#include "model/quantized.h"
#include "tiny_model.h"
#include "ttt/read.h"

#include <gmock/gmock.h>

namespace ingrain {
namespace {

using test::max_difference;
using test::on_every_instruction_set;

/// [N, K] as its blocks.
Tensor in_blocks(const Tensor& x) {
  return x.view({x.size(0), x.size(1) / ops::kQuantizedBlock, ops::kQuantizedBlock});
}
/// [N, blocks, 1], for every weight of the block.
Tensor spread(const Tensor& of_blocks, at::IntArrayRef sizes) {
  return of_blocks.expand({-1, -1, ops::kQuantizedBlock}).reshape(sizes);
}

/// What rounding to the format may take from a weight of each block: half a step.
Tensor half_steps(const Tensor& w, const ops::QuantizedFormat& format) {
  const Tensor x = in_blocks(w), most = x.amax(-1, true), least = x.amin(-1, true);
  return (&format == &ops::q8_0 ? x.abs().amax(-1, true) / 127 : (most - least) / 15) / 2;
}

/// Whole blocks and groups, for either format.
class QuantizedMatrix : public testing::TestWithParam<const ops::QuantizedFormat*> {
 protected:
  const ops::QuantizedFormat& format = *GetParam();
  Tensor rounded(const Tensor& w) const { return ops::dequantize(ops::quantize(w, format)); }
};
INSTANTIATE_TEST_SUITE_P(Of, QuantizedMatrix, testing::ValuesIn(ops::kQuantizedFormats),
                         [](const auto& i) { return std::string(i.param->name); });

TEST_P(QuantizedMatrix, every_weight_is_within_half_a_step_of_its_own) {
  at::manual_seed(1);
  const auto of_blocks = [](float a, float b, float c) { return at::tensor({a, b, c}).repeat_interleave(32); };
  const Tensor w = at::randn({32, 96}) * of_blocks(0.01f, 1, 30) + of_blocks(0, 2, 0);
  const Tensor off = in_blocks(rounded(w) - w).abs(), steps = off / half_steps(w, format);
  EXPECT_LE(steps.max().item<float>(), &format == &ops::q8_0 ? 1.001f : 1.03f) << "rounding scales to fp16 adds little";
  EXPECT_GT(steps.max().item<float>(), 0.8f) << "so many bits, not more";
}

TEST_P(QuantizedMatrix, zeros_and_quantized_weights_come_back_as_they_were) {
  const Tensor zeros = at::zeros({16, 64});
  EXPECT_TRUE(rounded(zeros).equal(zeros));
  at::manual_seed(2);
  const Tensor once = rounded(at::randn({16, 64}));
  EXPECT_LT(max_difference(rounded(once), once), 1e-6);
}

TEST_P(QuantizedMatrix, what_has_no_whole_blocks_is_refused) {
  EXPECT_THROW(ops::quantize(at::ones({16, 40}), format), c10::Error);
  EXPECT_THROW(ops::quantized_nt(at::ones({1, 32}), ops::quantize(at::ones({16, 64}), format)), c10::Error);
}

TEST_P(QuantizedMatrix, the_product_is_that_with_the_dequantized_weights) {
  at::manual_seed(3);
  on_every_instruction_set([&] {
    for (const int64_t m : {1, 2, 3, 7, 8, 11, 23, 64, 70}) {
      for (const int64_t n : {1, 3, 4, 16, 48, 130, 272}) {
        if (m > 30 && n > 200) continue;  // slow without vectors
        for (const int64_t k : {32, 96, 576}) {
          if (!ops::can_quantize({n, k}, format)) continue;
          const Tensor a = at::randn({m, k}), quantized = ops::quantize(at::randn({n, k}), format);
          const Tensor w = ops::dequantize(quantized).to(at::kDouble);
          for (const auto type : {at::kFloat, at::kBFloat16}) {
            const Tensor x = a.to(type).to(at::kDouble), exact = at::mm(x, w.t());
            const Tensor off = (ops::quantized_nt(a.to(type), quantized).to(at::kDouble) - exact).abs();
            // Half a step of a block's whole numbers times its weights; and the rounding of sums, and of the result. A
            // sum's parts are as large as a block's largest weight: in Q4_1 steps and least weight cancel.
            const Tensor step = spread(in_blocks(x).abs().amax(-1, true) / 32767, x.sizes());
            const Tensor largest = spread(in_blocks(w).abs().amax(-1, true), w.sizes());
            const Tensor bound = at::mm(step / 2, w.abs().t());
            const Tensor rounding =
                at::mm(x.abs(), largest.t()) * 1e-6 + exact.abs() * (type == at::kFloat ? 0 : 0.004);
            EXPECT_TRUE((off <= bound + rounding).all().item<bool>()) << m << " x " << n << " x " << k << " " << type;
          }
        }
      }
    }
  });
}

/// Whoever else is there: to the last bit, as far as the sums' order is one.
TEST_P(QuantizedMatrix, a_row_s_product_does_not_depend_on_the_other_rows) {
  at::manual_seed(7);
  on_every_instruction_set([&] {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const Tensor a = at::randn({77, 96}).to(type), quantized = ops::quantize(at::randn({48, 96}), format);
      const Tensor all = ops::quantized_nt(a, quantized);
      const int64_t least = &format == &ops::q4_1 ? 1 : 9;
      for (const int64_t m : {1, 2, 5, 8, 9, 13, 16, 31, 64, 66}) {
        if (m < least) continue;
        for (const int64_t first : {0, 3, 11})
          EXPECT_TRUE(ops::quantized_nt(a.narrow(0, first, m), quantized).equal(all.narrow(0, first, m)))
              << m << " " << type;
      }
    }
  });
}

TEST_P(QuantizedMatrix, activations_of_any_size_keep_their_digits_and_nan_stays) {
  on_every_instruction_set([&] {
    const Tensor quantized = ops::quantize(at::ones({16, 96}), format);
    for (const float size : {0.0f, 1e-38f, 1e-25f, 1e25f}) {
      const Tensor a = at::full({2, 96}, size);
      EXPECT_TRUE(ops::quantized_nt(a, quantized).allclose(at::full({2, 16}, 96 * size), 1e-4, 1e-28)) << size;
    }
    for (const float wrong : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      for (const int64_t m : {2, 12}) {
        Tensor a = at::ones({m, 96});
        a[1][40] = wrong;
        const Tensor is_nan = ops::quantized_nt(a, quantized).isnan();
        EXPECT_TRUE(is_nan[1].all().item<bool>());
        EXPECT_EQ(is_nan.sum().item<int64_t>(), 16) << "the other rows stay";
      }
    }
  });
}

/// A GGUF file's blocks, 20 bytes each, whose numbers reach from 0 to 15, as they do where a block's own weights made
/// the scale.
Tensor weights_of_a_q4_1_file(int64_t rows, int64_t columns) {
  std::vector<uint8_t> bytes;
  const Tensor random = at::randint(0, 256, {rows * columns / 32, 16}, at::kInt),
               scales = at::rand({rows * columns / 32, 2});
  for (int64_t b = 0; b < random.size(0); ++b) {
    for (const c10::Half scale :
         {c10::Half(0.01f * scales[b][0].item<float>()), c10::Half(-0.1f * scales[b][1].item<float>())}) {
      bytes.push_back(static_cast<uint8_t>(scale.x & 255));
      bytes.push_back(static_cast<uint8_t>(scale.x >> 8));
    }
    for (int64_t i = 0; i < 15; ++i) bytes.push_back(static_cast<uint8_t>(random[b][i].item<int>()));
    bytes.push_back(0xf0);
  }
  const Tensor out = at::empty({rows, columns}, at::kFloat);
  formats::dequantize(formats::GgufType::Q4_1, bytes.data(),
                      std::span(out.data_ptr<float>(), static_cast<size_t>(out.numel())));
  return out;
}

TEST(Q4, a_q4_1_file_comes_back_exactly) {
  at::manual_seed(4);
  const Tensor w = weights_of_a_q4_1_file(64, 160);
  EXPECT_TRUE(ops::dequantize(ops::quantize(w, ops::q4_1)).equal(w));
}

TEST(Q4, whole_groups_of_rows_and_weights_that_fp16_holds_are_asked_for) {
  EXPECT_THROW(ops::quantize(at::ones({24, 32}), ops::q4_1), c10::Error);
  EXPECT_THROW(ops::quantize(at::full({16, 32}, 70000.0f), ops::q4_1), Error);
}

/// Wide enough for whole blocks; the MLPs' rows of 24 and 20 stay dequantized.
Network quantized_model(at::ScalarType type, const ops::QuantizedFormat& format = ops::q8_0) {
  ModelConfig c = test::tiny_config({});
  c.hidden_size = 32;
  c.head_dim = 16;
  Network model{c, convert(c, initial_weights(c, 5), type), "tiny"};
  quantize_slow_weights(model, format);
  return model;
}

using QuantizedModel = QuantizedMatrix;
INSTANTIATE_TEST_SUITE_P(Of, QuantizedModel, testing::ValuesIn(ops::kQuantizedFormats),
                         [](const auto& i) { return std::string(i.param->name); });

TEST_P(QuantizedModel, reading_in_any_split_gives_the_same_memory_and_scores) {  // up to the rounding of activations,
                                                                                 // which single tokens get
  const Network model = quantized_model(at::kFloat, format);
  const Tensor tokens = test::random_tokens(model.config, 1, 61);
  ttt::Memory whole = ttt::empty_memory(model), parts = ttt::empty_memory(model);
  const Tensor scores = ttt::read(model, whole, tokens).nll_Bn;
  std::vector<Tensor> one_by_one;
  for (int64_t i = 0; i < 61; ++i) one_by_one.push_back(ttt::read(model, parts, tokens.narrow(1, i, 1)).nll_Bn);
  EXPECT_LT(max_difference(scores.narrow(1, 1, 60), at::cat(one_by_one, 1).narrow(1, 1, 60)), 2e-3);
  EXPECT_LT(max_difference(whole.W_S[0].w13_FD, parts.W_S[0].w13_FD), 1e-4);
  EXPECT_LT(max_difference(ttt::next_logits(model, whole), ttt::next_logits(model, parts)), 2e-3);
}

TEST_P(QuantizedModel, only_slow_matrices_change) {
  const Network model = quantized_model(at::kFloat, format);
  const Network native{model.config, initial_weights(model.config, 5), "tiny"};
  ASSERT_TRUE(model.quantized.has_value());
  EXPECT_EQ(ops::quantized_format(model.quantized->head()), &ops::q8_0) << "a tied head is quantized, in eight bits";
  EXPECT_FALSE(ops::quantized_format(model.quantized->embedding_VD)) << "the embedding is looked up";
  EXPECT_EQ(ops::quantized_format(model.quantized->blocks[0].attention.wqkv_CD), &format);
  EXPECT_FALSE(ops::quantized_format(model.quantized->blocks[0].mlp.w2_DF)) << "rows of 24";
  EXPECT_TRUE(model.weights.fast_S[0].w13_FD.equal(native.weights.fast_S[0].w13_FD));
  EXPECT_FALSE(model.weights.blocks[0].attention.wqkv_CD.equal(native.weights.blocks[0].attention.wqkv_CD));
  EXPECT_TRUE(
      model.weights.blocks[0].attention.wqkv_CD.equal(ops::dequantize(model.quantized->blocks[0].attention.wqkv_CD)));
}

TEST_P(QuantizedModel, is_of_fp32_or_bf16) { EXPECT_THROW(quantized_model(at::kDouble, format), Error); }

TEST(Quantized, rows_that_make_no_whole_groups_get_eight_bits) {
  ModelConfig c = test::tiny_config({});
  c.hidden_size = 32;
  c.mlp_size = 36;  // w1 | w3: 72 rows
  Network model{c, initial_weights(c, 5), "tiny"};
  choose_weights(model, "q4_1");
  EXPECT_EQ(ops::quantized_format(model.quantized->blocks[0].mlp.w13_FD), &ops::q8_0);
}

TEST(Quantized, forms_have_names) {
  EXPECT_THAT(weight_forms(), testing::ElementsAre("native", "q8_0", "q4_1"));
  for (const std::string& form : weight_forms())
    EXPECT_EQ(quantized_form(form) ? quantized_form(form)->name : "native", form);
  EXPECT_THROW(quantized_form("q5_1"), UsageError);
}

}  // namespace
}  // namespace ingrain
