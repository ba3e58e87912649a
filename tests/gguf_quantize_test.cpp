// Quantizing: what comes back is near, exactly what is representable, and never worse than rounding alone.
#include "formats/gguf_quantize.h"

#include "base/error.h"
#include "base/half.h"
#include "formats/gguf_mixture.h"
#include "formats/gguf_quants.h"
#include "formats/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace ingrain::formats {
namespace {

std::vector<float> bell(size_t count, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(count);
  for (float& x : out) x = normal(random);
  return out;
}

std::vector<float> there_and_back(GgufType type, const std::vector<float>& x) {
  std::vector<uint8_t> bytes(GgufWriter::row_bytes(type, x.size()));
  quantize(type, x, bytes.data());
  std::vector<float> out(x.size());
  dequantize(type, bytes.data(), out);
  return out;
}

/// Root of the mean square of what is lost, in standard deviations of x.
double loss(GgufType type, const std::vector<float>& x) {
  const std::vector<float> y = there_and_back(type, x);
  double off = 0, all = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    off += (x[i] - y[i]) * (x[i] - y[i]);
    all += x[i] * x[i];
  }
  return std::sqrt(off / all);
}

/// What llama.cpp b11549 loses of such numbers without an importance matrix is the bound, and in most types it is
/// beaten.
TEST(Quantize, every_type_loses_no_more_of_normal_weights_than_llama_cpp) {
  constexpr std::pair<GgufType, double> bounds[] = {
      {GgufType::Q8_0, 0.00533},  {GgufType::Q6_K, 0.0177},   {GgufType::Q5_K, 0.0363}, {GgufType::Q5_1, 0.0380},
      {GgufType::Q5_0, 0.0428},   {GgufType::Q4_K, 0.0710},   {GgufType::Q4_1, 0.0779}, {GgufType::Q4_0, 0.0860},
      {GgufType::IQ4_NL, 0.0764}, {GgufType::IQ4_XS, 0.0771}, {GgufType::Q3_K, 0.1516}, {GgufType::Q2_K, 0.2934}};
  for (const auto& [type, bound] : bounds)
    for (const float scale : {0.02f, 3.0f}) {
      const auto name = gguf_type_info(static_cast<uint32_t>(type))->name;
      const double lost = loss(type, bell(1 << 14, scale, 7));
      EXPECT_LT(lost, bound) << name << " at " << scale;
      EXPECT_GT(lost, bound * 0.5) << name << ": the bound says nothing";
    }
}

TEST(Quantize, numbers_that_a_type_can_hold_come_back) {
  std::vector<float> x(256);
  for (int i = 0; i < 256; ++i) x[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i % 16 - 8);
  for (const GgufType type : {GgufType::Q4_0, GgufType::Q4_1, GgufType::Q5_1})
    EXPECT_LT(loss(type, x), 1e-6) << static_cast<int>(type);
  for (const GgufType type : {GgufType::Q4_K, GgufType::Q5_K, GgufType::Q6_K})  // whose scales are rounded
    EXPECT_LT(loss(type, x), 1e-3) << static_cast<int>(type);
  for (const GgufType type : {GgufType::F32, GgufType::F16, GgufType::BF16}) EXPECT_EQ(there_and_back(type, x), x);
}

TEST(Quantize, zeros_constants_and_single_spikes_are_kept) {
  for (const GgufMixture& mixture : gguf_mixtures()) {
    EXPECT_EQ(there_and_back(mixture.type, std::vector<float>(256)), std::vector<float>(256)) << mixture.name;
    std::vector<float> spike(256);
    spike[77] = -5;
    EXPECT_NEAR(there_and_back(mixture.type, spike)[77], -5, 0.06) << mixture.name;
    EXPECT_LT(loss(mixture.type, std::vector<float>(256, 0.5f)), 0.02) << mixture.name;
    EXPECT_LT(loss(mixture.type, std::vector<float>(256, -0.5f)), 0.02) << mixture.name;
  }
}

TEST(Quantize, what_scales_cannot_reach_is_refused) {
  std::vector<float> x(256, 1.0f);
  x[3] = 1e9f;
  std::vector<uint8_t> bytes(1024);
  for (const GgufMixture& mixture : gguf_mixtures())
    if (mixture.type != GgufType::F32 && mixture.type != GgufType::F16 && mixture.type != GgufType::BF16) {
      EXPECT_THROW(quantize(mixture.type, x, bytes.data()), Error) << mixture.name;
    }
  EXPECT_THROW(quantize(GgufType::IQ2_XS, x, bytes.data()), Error);
}

TEST(Half, rounding_is_to_the_nearest_and_of_two_to_the_even_one) {
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float x = half_to_float(half);
    ASSERT_EQ(float_to_half(x), half);
    ASSERT_EQ(float_to_half(-x), half | 0x8000);
    const double above = bits == 0x7BFF ? 65536.0 : half_to_float(static_cast<uint16_t>(bits + 1));
    const auto middle = static_cast<float>((x + above) / 2);
    ASSERT_EQ(float_to_half(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9f)), bits + 1);
  }
  EXPECT_EQ(float_to_half(INFINITY), 0x7C00);
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(NAN))));
  EXPECT_EQ(float_to_bfloat16(1.00390625f), 0x3F80) << "half way, to the even one";
  EXPECT_EQ(float_to_bfloat16(1.01171875f), 0x3F82);
}

/// As llama-quantize gives them in SmolLM2's shape: 30 layers, 9 heads, 3 for keys, rows of 576 and 1536.
TEST(Mixture, tensors_get_the_types_that_its_name_means) {
  const MixedModel model{30, 9, 3, true};
  const auto type = [&](const char* mixture, const char* name, uint64_t row) {
    return mixed_type(*find_mixture(mixture), model, name, {576, row}, GgufType::F32);
  };
  EXPECT_EQ(type("q4_k_m", "token_embd.weight", 576), GgufType::Q8_0) << "the head, too, without whole blocks of 256";
  EXPECT_EQ(type("q4_k_m", "token_embd.weight", 768), GgufType::Q6_K);
  EXPECT_EQ(type("q8_0", "token_embd.weight", 768), GgufType::Q8_0);
  EXPECT_EQ(type("q4_k_m", "blk.0.ffn_down.weight", 1536), GgufType::Q6_K) << "the first eighth";
  EXPECT_EQ(type("q4_k_m", "blk.3.ffn_down.weight", 1536), GgufType::Q4_K);
  EXPECT_EQ(type("q4_k_m", "blk.5.ffn_down.weight", 1536), GgufType::Q6_K) << "every third";
  EXPECT_EQ(type("q4_k_m", "blk.26.ffn_down.weight", 1536), GgufType::Q6_K) << "the last eighth";
  EXPECT_EQ(type("q4_k_m", "blk.4.attn_v.weight", 768), GgufType::Q4_K);
  EXPECT_EQ(type("q4_k_m", "blk.4.attn_v.weight", 576), GgufType::Q5_0);
  EXPECT_EQ(type("q5_k_m", "blk.4.attn_q.weight", 576), GgufType::Q5_1);
  EXPECT_EQ(type("q4_k_m", "blk.4.attn_norm.weight", 576), GgufType::F32);
  EXPECT_EQ(type("q2_k", "blk.4.attn_output.weight", 768), GgufType::Q3_K);
  EXPECT_EQ(type("q4_0", "blk.4.attn_output.weight", 576), GgufType::Q4_0);
  EXPECT_EQ(type("f16", "token_embd.weight", 576), GgufType::F16);
  EXPECT_EQ(type("q4_0", "blk.4.attn_output.weight", 33), GgufType::F16);
  EXPECT_EQ(mixed_type(*find_mixture("q4_0"), model, "blk.0.attn_q.bias", {576}, GgufType::F32), GgufType::F32);
  EXPECT_EQ(find_mixture("q4_k_x"), nullptr);
}

TEST(Quantize, a_weight_beyond_its_type_is_refused_not_made_infinite) {
  std::vector<uint8_t> bytes(64);
  const auto refusal = [&](GgufType type, float x) -> std::string {
    try {
      quantize(type, std::vector<float>{1, x}, bytes.data());
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(refusal(GgufType::F16, 7e4F), ::testing::HasSubstr("choose bf16 or f32"));
  EXPECT_THAT(refusal(GgufType::F16, -65520.0F), ::testing::HasSubstr("beyond what f16 holds"));
  EXPECT_EQ(refusal(GgufType::F16, 65519.0F), "");
  EXPECT_THAT(refusal(GgufType::BF16, 3.4e38F), ::testing::HasSubstr("choose f32"));
  EXPECT_EQ(refusal(GgufType::BF16, 3.38e38F), "");
  EXPECT_EQ(refusal(GgufType::F32, 3.4e38F), "");
}

}  // namespace
}  // namespace ingrain::formats
