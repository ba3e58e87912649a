// config.json of the supported families, and what is refused.
#include "families/hf_config.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ingrain::formats {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json smollm2() {
  return json::parse(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1,
    "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576, "intermediate_size": 1536, "max_position_embeddings": 8192,
    "mlp_bias": false, "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
    "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152})");
}

json with(json config, const json& changes) {
  config.merge_patch(changes);  // null removes a field
  return config;
}

DecoderDescription parse(const json& config, const std::string& generation = "") {
  return parse_hf_config(config.dump(), generation, "m/config.json");
}

std::string refusal(const json& changes) {
  try {
    parse(with(smollm2(), changes));
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::StartsWith("m/config.json"));
    return e.what();
  }
  return "accepted";
}

TEST(HfConfig, a_llama_is_described) {
  const auto d = parse(smollm2());
  EXPECT_EQ(d.arch, "llama");
  EXPECT_EQ(d.vocab_size, 49152);
  EXPECT_EQ(d.hidden_size, 576);
  EXPECT_EQ(d.layers, 30);
  EXPECT_EQ(d.heads, 9);
  EXPECT_EQ(d.kv_heads, 3);
  EXPECT_EQ(d.head_dim, 64);
  EXPECT_EQ(d.intermediate_size, 1536);
  EXPECT_EQ(d.rms_eps, 1e-5);
  EXPECT_EQ(d.rope_theta, 100000);
  EXPECT_EQ(d.rope_scaling.type, RopeScalingType::none);
  EXPECT_FALSE(d.rope_interleaved || d.qk_norm || d.qkv_bias || d.o_bias || d.mlp_bias || d.sliding_window);
  EXPECT_TRUE(d.tie_embeddings);
  EXPECT_THAT(d.bos_ids, ElementsAre(1));
  EXPECT_THAT(d.eos_ids, ElementsAre(2));
  EXPECT_EQ(d.max_positions, 8192);
}

TEST(HfConfig, families_differ_in_biases_and_norms) {
  const auto qwen2 = parse(with(smollm2(), {{"architectures", {"Qwen2ForCausalLM"}}, {"attention_bias", nullptr}}));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.o_bias || qwen2.qk_norm);
  const auto qwen3 = parse(with(smollm2(), {{"architectures", {"Qwen3ForCausalLM"}}, {"head_dim", 128}}));
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_EQ(qwen3.head_dim, 128);
  const auto biased = parse(with(smollm2(), {{"attention_bias", true}, {"mlp_bias", true}}));
  EXPECT_TRUE(biased.qkv_bias && biased.o_bias && biased.mlp_bias);
}

TEST(HfConfig, every_kind_of_rope_scaling_is_read) {
  const auto scaled = [](const json& scaling) {
    return parse(with(smollm2(), {{"rope_scaling", scaling}})).rope_scaling;
  };
  const auto llama3 = scaled({{"rope_type", "llama3"},
                              {"factor", 32.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 4096}});
  EXPECT_EQ(llama3.type, RopeScalingType::llama3);
  EXPECT_EQ(llama3.factor, 32);
  EXPECT_EQ(llama3.original_max_position, 4096);
  const auto linear = scaled({{"type", "linear"}, {"factor", 2}});
  EXPECT_EQ(linear.type, RopeScalingType::linear);
  EXPECT_EQ(linear.factor, 2);
  const auto dynamic = scaled({{"type", "dynamic"}, {"factor", 2.0}});
  EXPECT_EQ(dynamic.type, RopeScalingType::dynamic);
  EXPECT_EQ(dynamic.original_max_position, 8192);
  const auto yarn = scaled({{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}});
  EXPECT_EQ(yarn.type, RopeScalingType::yarn);
  EXPECT_NEAR(yarn.attention_factor, 1.138629436, 1e-9);  // 0.1 ln 4 + 1
  EXPECT_EQ(yarn.beta_fast, 32);
  EXPECT_EQ(scaled({{"rope_type", "default"}}).type, RopeScalingType::none);
}

TEST(HfConfig, newer_files_keep_rope_in_one_object) {
  const auto d =
      parse(with(smollm2(), {{"rope_theta", nullptr},
                             {"rope_parameters", {{"rope_theta", 5e5}, {"rope_type", "linear"}, {"factor", 3}}}}));
  EXPECT_EQ(d.rope_theta, 5e5);
  EXPECT_EQ(d.rope_scaling.factor, 3);
}

TEST(HfConfig, eos_ids_of_the_generation_config_win) {
  const auto d = parse(with(smollm2(), {{"eos_token_id", {2, 0}}}));
  EXPECT_THAT(d.eos_ids, ElementsAre(2, 0));
  EXPECT_THAT(parse(smollm2(), R"({"eos_token_id": [5, 6]})").eos_ids, ElementsAre(5, 6));
  EXPECT_THAT(parse(smollm2(), "{}").eos_ids, ElementsAre(2));
}

TEST(HfConfig, a_window_counts_only_where_all_layers_have_it) {
  const json qwen =
      with(smollm2(), {{"architectures", {"Qwen2ForCausalLM"}}, {"sliding_window", 4096}, {"max_window_layers", 0}});
  EXPECT_EQ(parse(qwen).sliding_window, std::nullopt);
  EXPECT_EQ(parse(with(qwen, {{"use_sliding_window", true}})).sliding_window, 4096);
  EXPECT_EQ(parse(with(qwen, {{"use_sliding_window", true}, {"max_window_layers", 30}})).sliding_window, std::nullopt);
  EXPECT_THROW(parse(with(qwen, {{"use_sliding_window", true}, {"max_window_layers", 10}})), Error);
  const json full = std::vector<std::string>(30, "full_attention");
  EXPECT_EQ(parse(with(qwen, {{"use_sliding_window", true}, {"layer_types", full}})).sliding_window, std::nullopt);
}

TEST(HfConfig, what_cannot_be_run_is_refused_by_field) {
  EXPECT_EQ(refusal(json::object()), "accepted");
  EXPECT_THAT(refusal({{"architectures", {"MambaForCausalLM"}}}), HasSubstr("'MambaForCausalLM' is not supported"));
  EXPECT_THAT(refusal({{"hidden_size", nullptr}}), HasSubstr("'hidden_size' is missing"));
  EXPECT_THAT(refusal({{"hidden_size", -1}}), HasSubstr("'hidden_size' must be a whole number"));
  EXPECT_THAT(refusal({{"hidden_size", 1e30}}), HasSubstr("'hidden_size' must be a whole number"));
  EXPECT_THAT(refusal({{"hidden_size", "576"}}), HasSubstr("'hidden_size' must be a whole number"));
  EXPECT_THAT(refusal({{"num_hidden_layers", 2000000000}}), HasSubstr("larger than any"));
  EXPECT_THAT(refusal({{"num_key_value_heads", 4}}), HasSubstr("cannot share 4 key-value heads"));
  EXPECT_THAT(refusal({{"num_attention_heads", 7}, {"num_key_value_heads", 7}}), HasSubstr("'head_dim' is missing"));
  EXPECT_THAT(refusal({{"head_dim", 63}}), HasSubstr("rotated in pairs"));
  EXPECT_THAT(refusal({{"hidden_act", "gelu"}}), HasSubstr("'hidden_act' is 'gelu'"));
  EXPECT_THAT(refusal({{"quantization_config", {{"bits", 4}}}}), HasSubstr("'quantization_config'"));
  EXPECT_THAT(refusal({{"partial_rotary_factor", 0.5}}), HasSubstr("'partial_rotary_factor'"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}}}), HasSubstr("'longrope'"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 2}}}}),
              HasSubstr("rope_scaling.low_freq_factor"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "linear"}}}}), HasSubstr("'rope_scaling.factor' is missing"));
  EXPECT_THAT(refusal({{"rms_norm_eps", 0}}), HasSubstr("'rms_norm_eps' must be a positive number"));
  EXPECT_THAT(refusal({{"eos_token_id", 49152}}), HasSubstr("beyond the 49152 tokens"));
  EXPECT_THAT(refusal({{"eos_token_id", {"x"}}}), HasSubstr("'eos_token_id' must be a token's id"));
  EXPECT_THAT(refusal({{"tie_word_embeddings", 1}}), HasSubstr("'tie_word_embeddings' must be true or false"));
}

}  // namespace
}  // namespace ingrain::formats
