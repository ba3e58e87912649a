// Slow weights in few bits: the quantized forms, their product on every instruction set, and a model that uses them.
#include "base/error.h"
#include "formats/gguf_quants.h"
#include "instruction_sets.h"
#include "model/mixers/attention/weights.h"
#include "model/quantized.h"
#include "ops/linear/linear.h"
#include "ops/linear/products.h"
#include "store/tensor_io.h"
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

/// Random blocks of every type, and what gguf-py makes of them (tests/fixtures/make_stored_blocks.py).
class StoredType : public testing::TestWithParam<std::pair<uint32_t, const char*>> {
 protected:
  const uint32_t number = GetParam().first;
  const std::string name = GetParam().second;
  const formats::SafetensorsFile file{std::filesystem::path(INGRAIN_SOURCE_FOLDER) /
                                      "tests/fixtures/stored_blocks.safetensors"};
  const Tensor bytes = read_tensor(file, name + ".blocks"), weights = read_tensor(file, name + ".weights");

  Tensor matrix(at::ScalarType type, int64_t rows = 0) const {
    const int64_t N = rows ? rows : bytes.size(0);
    const ops::QuantizedFormat* const format = ops::format_of_file(number, N);
    const Tensor out =
        ops::quantized_matrix({{format, at::empty({N, bytes.size(1)}, at::kByte)}}, weights.size(1), type);
    const int64_t half = N / 2 / format->rows * format->rows;
    const auto* const from = bytes.const_data_ptr<uint8_t>();
    EXPECT_TRUE(ops::take_rows(out, 0, 0, half, from));
    EXPECT_TRUE(ops::take_rows(out, 0, half, N - half, from + half * bytes.size(1)));
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Of, StoredType,
                         testing::Values(std::pair(2u, "Q4_0"), std::pair(3u, "Q4_1"), std::pair(6u, "Q5_0"),
                                         std::pair(7u, "Q5_1"), std::pair(8u, "Q8_0"), std::pair(10u, "Q2_K"),
                                         std::pair(11u, "Q3_K"), std::pair(12u, "Q4_K"), std::pair(13u, "Q5_K"),
                                         std::pair(14u, "Q6_K"), std::pair(20u, "IQ4_NL"), std::pair(23u, "IQ4_XS"),
                                         std::pair(16u, "IQ2_XXS"), std::pair(17u, "IQ2_XS"), std::pair(22u, "IQ2_S"),
                                         std::pair(18u, "IQ3_XXS"), std::pair(21u, "IQ3_S"), std::pair(19u, "IQ1_S"),
                                         std::pair(29u, "IQ1_M"), std::pair(34u, "TQ1_0"), std::pair(35u, "TQ2_0"),
                                         std::pair(39u, "MXFP4")),
                         [](const auto& i) { return std::string(i.param.second); });

TEST_P(StoredType, has_the_weights_that_gguf_py_gives_it_to_the_last_bit) {
  on_every_instruction_set([&] {
    for (const int64_t rows : {bytes.size(0), int64_t{3}}) {  // Q4_1: side by side, and not
      const Tensor w = matrix(at::kFloat, rows), expected = weights.narrow(0, 0, rows);
      EXPECT_TRUE(ops::dequantize(w).equal(expected));
      EXPECT_TRUE(ops::dequantize_rows(w, 1, 2).equal(expected.narrow(0, 1, 2)));
      const Tensor ids = at::tensor(std::vector<int64_t>{2, 0, 1});
      EXPECT_TRUE(ops::quantized_lookup(w, ids).equal(expected.index_select(0, ids)));
      EXPECT_TRUE(ops::quantized_lookup(matrix(at::kBFloat16, rows), ids)
                      .equal(expected.index_select(0, ids).to(at::kBFloat16)));
    }
  });
}

TEST_P(StoredType, the_product_is_that_with_the_weights) {
  at::manual_seed(11);
  on_every_instruction_set([&] {
    for (const int64_t rows : {bytes.size(0), int64_t{1}, int64_t{3}}) {
      for (const auto type : {at::kFloat, at::kBFloat16}) {
        const Tensor w = matrix(type, rows), exact_w = weights.narrow(0, 0, rows).to(at::kDouble);
        for (const int64_t m : {1, 2, 5, 8, 33}) {
          const Tensor a = at::randn({m, w.size(1)}).to(type), x = a.to(at::kDouble), exact = at::mm(x, exact_w.t());
          const Tensor step = spread(in_blocks(x).abs().amax(-1, true) / 32767, x.sizes());
          const Tensor largest = spread(in_blocks(exact_w).abs().amax(-1, true), exact_w.sizes());
          const Tensor bound = at::mm(step / 2, exact_w.abs().t()) + at::mm(x.abs(), largest.t()) * 2e-6 +
                               exact.abs() * (type == at::kFloat ? 0 : 0.004);
          const Tensor off = (ops::quantized_nt(a, w).to(at::kDouble) - exact).abs();
          EXPECT_TRUE((off <= bound).all().item<bool>()) << m << " x " << rows << " " << type;
        }
      }
    }
  });
}

/// Row by row, in native numbers: many rows, and the backward pass of a product.
TEST_P(StoredType, many_rows_meet_the_weights_themselves) {
  at::manual_seed(12);
  const Tensor w = matrix(at::kFloat), x = at::randn({70, w.size(1)}), g = at::randn({70, w.size(0)});
  const auto near = [](const Tensor& a, const Tensor& b) {
    return max_difference(a, b) < 1e-5 * b.abs().max().item<double>();
  };
  EXPECT_TRUE(near(ops::product_nt(x, w), at::mm(x, weights.t())));
  EXPECT_TRUE(near(ops::product_nn(g, w), at::mm(g, weights)));
  const at::AutoGradMode graph(true);
  const Tensor leaf = x.clone().requires_grad_();
  ops::linear(leaf, w).backward(g);
  EXPECT_TRUE(near(leaf.grad(), at::mm(g, weights)));
}

TEST_P(StoredType, scales_that_are_not_finite_are_seen) {
  const int scale_at = ops::format_of_file(number, 1)->scale_at;
  const Tensor spoilt = bytes.clone();
  const Tensor out = ops::quantized_matrix({{ops::format_of_file(number, bytes.size(0)), at::empty_like(bytes)}},
                                           weights.size(1), at::kFloat);
  uint8_t* const last = spoilt.data_ptr<uint8_t>() + spoilt.numel() - ops::format_of_file(number, 1)->bytes;
  if (scale_at >= 0) {
    last[scale_at] = 0;
    last[scale_at + 1] = 0x7c;  // infinity
  } else {
    std::fill_n(last, ops::format_of_file(number, 1)->bytes, uint8_t{0xff});
  }
  EXPECT_FALSE(ops::take_rows(out, 0, 0, bytes.size(0), spoilt.const_data_ptr()));
  EXPECT_THROW(ops::take_rows(out, 0, 1, bytes.size(0), spoilt.const_data_ptr()), c10::Error) << "a row too many";
}

/// As the rows of q, k and v in Q4_K_M files.
TEST(Stored, a_matrix_of_several_formats_is_that_of_their_rows) {
  at::manual_seed(13);
  const Tensor first = at::randn({48, 96}), second = at::randn({5, 96});
  const Tensor a = ops::quantize(first, ops::q4_1), b = ops::quantize(second, ops::q8_0);
  const Tensor w = ops::quantized_matrix(
      {{&ops::q4_1, ops::quantized_parts(a)[0].bytes}, {&ops::q8_0, ops::quantized_parts(b)[0].bytes}}, 96, at::kFloat);
  const Tensor native = at::cat({ops::dequantize(a), ops::dequantize(b)});
  EXPECT_EQ(w.sizes(), native.sizes());
  EXPECT_EQ(ops::quantized_format(w), nullptr);
  EXPECT_EQ(ops::bytes_in_memory(w), 48 * 60 + 5 * 108);
  EXPECT_TRUE(ops::dequantize(w).equal(native));
  for (const int64_t m : {1, 8, 20}) {
    const Tensor x = at::randn({m, 96});
    EXPECT_TRUE(ops::quantized_nt(x, w).equal(at::cat({ops::quantized_nt(x, a), ops::quantized_nt(x, b)}, 1))) << m;
  }
  for (const auto& [from, count] : {std::pair(0, 16), {32, 21}, {16, 32}, {48, 5}, {49, 2}})
    EXPECT_TRUE(ops::dequantize(ops::rows_of(w, from, count)).equal(native.narrow(0, from, count))) << from;
  const Tensor ids = at::tensor(std::vector<int64_t>{50, 47, 0, 52}).view({2, 2});
  EXPECT_TRUE(ops::quantized_lookup(w, ids).equal(native.index_select(0, ids.flatten()).view({2, 2, 96})));
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
  const Weights &w = model.weights, &before = native.weights;
  EXPECT_EQ(ops::quantized_format(w.head()), &ops::q8_0) << "a tied head is quantized, in eight bits";
  const Tensor &wqkv = w.blocks[0].mixer.of<AttentionWeights>().wqkv_CD, &w2 = w.blocks[0].mlp.w2_DF;
  EXPECT_EQ(ops::quantized_format(wqkv), &format);
  EXPECT_EQ(wqkv.sizes(), before.blocks[0].mixer.of<AttentionWeights>().wqkv_CD.sizes());
  EXPECT_FALSE(ops::dequantize(wqkv).equal(before.blocks[0].mixer.of<AttentionWeights>().wqkv_CD));
  EXPECT_TRUE(w2.equal(before.blocks[0].mlp.w2_DF)) << "rows of 24";
  EXPECT_TRUE(w.fast_S[0].w13_FD.equal(before.fast_S[0].w13_FD));
}

TEST_P(QuantizedModel, is_of_fp32_or_bf16) { EXPECT_THROW(quantized_model(at::kDouble, format), Error); }

TEST(Quantized, rows_that_make_no_whole_groups_get_eight_bits) {
  ModelConfig c = test::tiny_config({});
  c.hidden_size = 32;
  c.mlp_size = 36;  // w1 | w3: 72 rows
  Network model{c, initial_weights(c, 5), "tiny"};
  choose_weights(model, "q4_1");
  EXPECT_EQ(ops::quantized_format(model.weights.blocks[0].mlp.w13_FD), &ops::q8_0);
}

TEST(Quantized, forms_have_names) {
  EXPECT_THAT(weight_forms(), testing::ElementsAre("native", "expanded", "q8_0", "q4_1"));
  for (const std::string& form : weight_forms())
    EXPECT_EQ(quantized_form(form) ? quantized_form(form)->name : form == "expanded" ? form : "native", form);
  EXPECT_THROW(quantized_form("q5_1"), UsageError);
}

}  // namespace
}  // namespace ingrain
