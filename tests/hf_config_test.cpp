// config.json of the supported families, and what is refused.
#include "families/families.h"
#include "model/mixers/kinds.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ingrain::families {
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

ModelConfig parse(const json& config, const std::string& generation = "") {
  return parse_hugging_face(config.dump(), generation, "m/config.json");
}

std::string refusal_of(const json& config) {
  try {
    parse(config);
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::StartsWith("m/config.json"));
    return e.what();
  }
  return "accepted";
}

std::string refusal(const json& changes) { return refusal_of(with(smollm2(), changes)); }

TEST(HfConfig, a_llama_is_described) {
  const auto d = parse(smollm2());
  EXPECT_EQ(d.vocab_size, 49152);
  EXPECT_EQ(d.hidden_size, 576);
  EXPECT_EQ(d.num_layers, 30);
  EXPECT_EQ(d.num_heads, 9);
  EXPECT_EQ(d.num_kv_heads, 3);
  EXPECT_EQ(d.head_dim, 64);
  EXPECT_EQ(d.mlp_size, 1536);
  EXPECT_EQ(d.rms_eps, 1e-5);
  EXPECT_EQ(d.rope_theta, 100000);
  EXPECT_EQ(d.rope_scaling.kind, RopeScaling::Kind::none);
  EXPECT_FALSE(d.rope_interleaved || d.qk_norm || d.qkv_bias || d.post_norm || !d.full_attention());
  EXPECT_TRUE(d.layers.empty());
  EXPECT_TRUE(d.tie_embeddings);
  EXPECT_EQ(d.bos_id, 1);
  EXPECT_THAT(d.eos_ids, ElementsAre(2));
  EXPECT_EQ(d.trained_length, 8192);
}

TEST(HfConfig, a_base_model_is_of_its_family) {
  EXPECT_EQ(parse(with(smollm2(), {{"architectures", {"LlamaModel"}}})).num_layers, 30);
  EXPECT_TRUE(parse(with(smollm2(), {{"architectures", nullptr}, {"model_type", "qwen3"}})).qk_norm);
}

TEST(HfConfig, families_differ_in_biases_and_norms) {
  const auto qwen2 = parse(with(smollm2(), {{"architectures", {"Qwen2ForCausalLM"}}, {"attention_bias", nullptr}}));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  const auto qwen3 = parse(with(smollm2(), {{"architectures", {"Qwen3ForCausalLM"}}, {"head_dim", 128}}));
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_EQ(qwen3.head_dim, 128);
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
  EXPECT_EQ(llama3.kind, RopeScaling::Kind::llama3);
  EXPECT_EQ(llama3.factor, 32);
  EXPECT_EQ(llama3.original_max_position, 4096);
  const auto linear = scaled({{"type", "linear"}, {"factor", 2}});
  EXPECT_EQ(linear.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(linear.factor, 2);
  const auto yarn = scaled({{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 2048}});
  EXPECT_EQ(yarn.kind, RopeScaling::Kind::yarn);
  EXPECT_NEAR(*yarn.attention_factor, 1.138629436, 1e-9);  // 0.1 ln 4 + 1
  EXPECT_EQ(yarn.beta_fast, 32);
  EXPECT_EQ(scaled({{"rope_type", "default"}}).kind, RopeScaling::Kind::none);
}

/// Every place that a field of RoPE has in files of transformers 4 and 5, and older ones (docs/models.md).
TEST(HfConfig, rope_fields_are_found_wherever_they_stand) {
  const auto theta = [](const json& changes) { return parse(with(smollm2(), changes)).rope_theta; };
  const json inside{{"rope_type", "default"}, {"rope_theta", 5e5}};
  EXPECT_EQ(theta({{"rope_theta", 3e5}}), 3e5);
  EXPECT_EQ(theta({{"rope_theta", nullptr}}), 1e4);
  EXPECT_EQ(theta({{"rope_theta", nullptr}, {"rope_parameters", inside}}), 5e5);
  EXPECT_EQ(theta({{"rope_theta", nullptr}, {"rope_scaling", inside}}), 5e5);
  EXPECT_EQ(theta({{"rope_theta", 3e5}, {"rope_parameters", inside}}), 5e5);
  EXPECT_EQ(theta({{"rope_theta", 3e5}, {"rope_parameters", {{"rope_type", "default"}}}}), 3e5);
  EXPECT_THAT(refusal({{"rope_parameters", {{"full_attention", inside}}}}),
              HasSubstr("'rope_parameters' has an object for each type of layer; Llama models have one for all"));

  const auto scaling = [](const json& changes) { return parse(with(smollm2(), changes)).rope_scaling; };
  const json yarn{{"rope_type", "yarn"}, {"factor", 4}}, linear{{"rope_type", "linear"}, {"factor", 3}};
  EXPECT_EQ(scaling({{"rope_parameters", linear}}).factor, 3);
  EXPECT_EQ(scaling({{"rope_parameters", linear}, {"rope_scaling", yarn}}).factor, 4);  // as in transformers
  EXPECT_EQ(scaling({{"rope_scaling", yarn}}).original_max_position, 8192);
  EXPECT_EQ(scaling({{"rope_scaling", with(yarn, {{"original_max_position_embeddings", 64}})}}).original_max_position,
            64);
  EXPECT_EQ(scaling({{"rope_scaling", yarn}, {"original_max_position_embeddings", 32}}).original_max_position, 32);
  EXPECT_EQ(scaling({{"rope_scaling", with(yarn, {{"original_max_position_embeddings", 64}})},
                     {"original_max_position_embeddings", 32}})
                .original_max_position,
            32);
  const json llama3{{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}};
  EXPECT_EQ(scaling({{"rope_parameters", llama3}}).original_max_position, 8192);
}

TEST(HfConfig, rope_by_layer_type_is_read_as_the_class_that_has_it_reads_it) {
  const json gemma = with(smollm2(), {{"architectures", {"Gemma3ForCausalLM"}},
                                      {"attention_bias", nullptr},
                                      {"original_max_position_embeddings", 32}});
  const json yarn{{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 64}};
  const auto full = [&](const json& changes) { return parse(with(gemma, changes)).layer(5).rope_scaling; };
  EXPECT_EQ(full({{"rope_scaling", yarn}}).original_max_position, 64);  // not the length beside it
  EXPECT_EQ(full({{"rope_parameters", {{"full_attention", yarn}, {"sliding_attention", {{"rope_type", "default"}}}}}})
                .original_max_position,
            64);
  EXPECT_THAT([&] { full({{"rope_parameters", yarn}}); }, testing::ThrowsMessage<Error>(HasSubstr("for each type")));
  EXPECT_THAT([&] { full({{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}); },
              testing::ThrowsMessage<Error>(HasSubstr("call it 'rope_type'")));
}

TEST(HfConfig, a_mistral_whose_layers_differ_is_a_ministral) {
  const json mistral = with(smollm2(), {{"architectures", {"MistralForCausalLM"}},
                                        {"model_type", "mistral"},
                                        {"attention_bias", nullptr},
                                        {"sliding_window", 128},
                                        {"num_hidden_layers", 2}});
  EXPECT_EQ(parse(mistral).layer(1).window, 128);
  const auto c = parse(with(mistral, {{"layer_types", {"sliding_attention", "full_attention"}}}));
  EXPECT_EQ(c.layer(0).window, 128);
  EXPECT_TRUE(c.layer(1).full_attention());
}

/// transformers' classes read one name each: a field of another family says nothing.
TEST(HfConfig, the_activation_stands_where_the_family_has_it) {
  const auto activation = [](const json& changes) { return parse(with(smollm2(), changes)).layer(0).activation; };
  EXPECT_EQ(activation({{"hidden_act", "gelu_pytorch_tanh"}}), Activation::gelu_tanh);
  EXPECT_EQ(activation({{"hidden_activation", "gelu_pytorch_tanh"}}), Activation::silu);
  const json gemma{{"architectures", {"Gemma3ForCausalLM"}},
                   {"model_type", "gemma3_text"},
                   {"head_dim", 64},
                   {"attention_bias", nullptr}};
  EXPECT_EQ(activation(with(gemma, {{"hidden_act", "silu"}})), Activation::gelu_tanh);
  EXPECT_EQ(activation(with(gemma, {{"hidden_activation", "silu"}})), Activation::silu);
}

TEST(HfConfig, every_fourth_layer_of_smollm3_is_not_rotated) {
  const json smollm3 = with(smollm2(), {{"architectures", {"SmolLM3ForCausalLM"}},
                                        {"num_hidden_layers", 6},
                                        {"rope_theta", nullptr},
                                        {"tie_word_embeddings", nullptr}});
  const auto rotated = [](const ModelConfig& c) {
    std::vector<int> out;
    for (int64_t i = 0; i < c.num_layers; ++i) out.push_back(c.layer(i).rotated ? 1 : 0);
    return out;
  };
  const ModelConfig usual = parse(smollm3);
  EXPECT_THAT(rotated(usual), ElementsAre(1, 1, 1, 0, 1, 1));
  EXPECT_EQ(usual.rope_theta, 2e6);
  EXPECT_TRUE(usual.tie_embeddings);
  EXPECT_THAT(rotated(parse(with(smollm3, {{"no_rope_layer_interval", 2}}))), ElementsAre(1, 0, 1, 0, 1, 0));
  const json list{{"no_rope_layers", {0, 1, 1, 1, 1, 0}}, {"no_rope_layer_interval", 2}};
  EXPECT_THAT(rotated(parse(with(smollm3, list))), ElementsAre(0, 1, 1, 1, 1, 0));
  EXPECT_EQ(parse(with(smollm3, {{"no_rope_layers", {1, 1, 1, 1, 1, 1}}})).layers.size(), 0u);
  EXPECT_THROW(parse(with(smollm3, {{"no_rope_layers", {1, 0}}})), Error);
  EXPECT_THROW(parse(with(smollm3, {{"no_rope_layers", {1, 1, 1, 1, 1, 2}}})), Error);
}

TEST(ModelConfig, layers_that_differ_survive_our_own_file) {
  const ModelConfig c = parse(with(smollm2(), {{"architectures", {"SmolLM3ForCausalLM"}}, {"num_hidden_layers", 5}}));
  const json file = to_json(c);
  EXPECT_EQ(file["layers"], json::parse(R"([{}, {}, {}, {"rope": false}, {}])"));
  EXPECT_EQ(parse_config(file, "config.json").layers, c.layers);
  EXPECT_FALSE(
      to_json(parse(smollm2())).contains("layers"));  // files of models whose layers are alike stay as they were
}

TEST(ModelConfig, what_can_be_said_and_is_not_computed_is_refused_by_name) {
  const json plain = to_json(parse(smollm2()));
  const json unusual{{"partial_rotary_factor", 0.01},  // less than a pair of a head
                     {"attention_scale", -0.2},
                     {"attention_softcap", 50.0},
                     {"qk_norm_whole", true},  // without "qk_norm"
                     {"query_growth", 0.1},    // from what position on
                     {"mlp_bias", true},
                     {"attention_output_bias", true},
                     {"hidden_act", "gelu"},
                     {"embedding_scale", 0.0},
                     {"residual_scale", -1.0},
                     {"logit_scale", 0.1},
                     {"logit_softcap", 30.0}};
  for (const auto& [field, value] : unusual.items()) {
    try {
      parse_config(with(plain, {{field, value}}), "config.json");
      ADD_FAILURE() << field << " was accepted";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(field));
    }
  }
  json layers = std::vector<json>(30, json::object());
  const auto refused = [&] {
    try {
      parse_config(with(plain, {{"layers", layers}}), "config.json");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  layers[7] = {{"rope_theta", 5e5}};
  EXPECT_EQ(refused(), "accepted");
  layers[7] = {{"rope_theta", -1.0}};
  EXPECT_THAT(refused(), HasSubstr("layer 7: 'rope_theta'"));
  layers[7] = {{"rop", false}};
  EXPECT_THAT(refused(), HasSubstr("field 'layers[7].rop' is unknown (did you mean 'rope'?)"));
}

TEST(HfConfig, eos_ids_of_the_generation_config_win) {
  const auto d = parse(with(smollm2(), {{"eos_token_id", {2, 0}}}));
  EXPECT_THAT(d.eos_ids, ElementsAre(2, 0));
  EXPECT_THAT(parse(smollm2(), R"({"eos_token_id": [5, 6]})").eos_ids, ElementsAre(5, 6));
  EXPECT_THAT(parse(smollm2(), "{}").eos_ids, ElementsAre(2));
}

TEST(ModelConfig, a_layer_may_have_a_window_or_a_mixer_of_its_own) {
  json file = to_json(parse(with(smollm2(), {{"num_hidden_layers", 4}})));
  file["layers"] = json::parse(R"([{}, {"mixer": "gated_delta_net"}, {"sliding_window": 64}, {}])");
  const auto refused = [&](const json& changes) {
    try {
      parse_config(with(file, changes), "config.json");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refused(json::object()),
              HasSubstr("'linear_num_key_heads' is 0; layers with a Gated DeltaNet need 1 to"));
  file.update({{"linear_num_key_heads", 2}, {"linear_num_value_heads", 4}, {"linear_key_head_dim", 8}});
  file["linear_value_head_dim"] = 16;
  const ModelConfig c = parse_config(file, "config.json");
  EXPECT_EQ(c.layer(1).mixer, MixerKind::gated_delta_net);
  EXPECT_EQ(c.layer(2).window, 64);
  EXPECT_TRUE(c.layer(0).full_attention() && c.layer(3).full_attention());
  EXPECT_EQ(c.mixers.of<GatedDeltaNetSizes>().convolved(), 2 * 16 + 64);
  EXPECT_EQ(to_json(parse_config(to_json(c), "config.json")), to_json(c));
  EXPECT_THAT(refused({{"linear_num_value_heads", 3}}), HasSubstr("must be a multiple of 'linear_num_key_heads' (2)"));
  EXPECT_THAT(refused({{"linear_conv_kernel_dim", 1}}), HasSubstr("'linear_conv_kernel_dim' is 1"));
  EXPECT_THAT(refused({{"mixer", "mamba"}}),
              HasSubstr("'mamba' is not known; known are: attention, gated_delta_net, "));
  EXPECT_THAT(refused({{"mixer", "mamba2"}}), HasSubstr("'mamba_n_heads' is 0; layers with a Mamba-2 need 1 to"));
  EXPECT_THAT(refused({{"mixer", "mamba2"},
                       {"mamba_n_heads", 3},
                       {"mamba_d_head", 8},
                       {"mamba_d_state", 8},
                       {"mamba_n_groups", 2}}),
              HasSubstr("'mamba_n_heads' (3) must be a multiple of 'mamba_n_groups' (2)"));
}

TEST(HfConfig, a_window_counts_only_where_the_family_has_one) {
  const json qwen =
      with(smollm2(), {{"architectures", {"Qwen2ForCausalLM"}}, {"sliding_window", 4096}, {"max_window_layers", 0}});
  EXPECT_TRUE(parse(qwen).full_attention());
  EXPECT_EQ(parse(with(qwen, {{"use_sliding_window", true}})).window, 4096);
  EXPECT_TRUE(parse(with(qwen, {{"use_sliding_window", true}, {"max_window_layers", 30}})).full_attention());
  const auto some = parse(with(qwen, {{"use_sliding_window", true}, {"max_window_layers", 10}}));
  for (int64_t i = 0; i < 30; ++i)
    EXPECT_EQ(some.layer(i).window, i < 10 ? ModelConfig::kFullAttention : 4096) << "layer " << i;
  const json full = std::vector<std::string>(30, "full_attention");
  EXPECT_TRUE(parse(with(qwen, {{"use_sliding_window", true}, {"layer_types", full}})).full_attention());
  const json sliding = std::vector<std::string>(30, "sliding_attention");
  EXPECT_EQ(parse(with(qwen, {{"use_sliding_window", true}, {"layer_types", sliding}})).window, 4096);
  EXPECT_TRUE(
      parse(with(qwen, {{"architectures", {"LlamaForCausalLM"}}, {"use_sliding_window", true}})).full_attention());
}

/// transformers fails on the first text, too.
TEST(HfConfig, layers_that_slide_need_a_window) {
  const auto family = [](const char* architecture, const json& changes) {
    json config =
        with(smollm2(), {{"architectures", {std::string(architecture) + "ForCausalLM"}}, {"attention_bias", nullptr}});
    config.update(changes);  // null stays
    return refusal_of(config);
  };
  const json sliding = std::vector<std::string>(30, "sliding_attention"),
             full = std::vector<std::string>(30, "full_attention");
  for (const char* qwen : {"Qwen2", "Qwen3", "SmolLM3"}) {
    const json unused{{"sliding_window", 64}, {"layer_types", sliding}};
    EXPECT_THAT(family(qwen, unused),
                HasSubstr("'layer_types' names layers that slide, and 'use_sliding_window' is not true"));
    EXPECT_THAT(family(qwen, {{"use_sliding_window", true}, {"layer_types", sliding}}),
                HasSubstr("and there is no 'sliding_window'"));
    EXPECT_EQ(family(qwen, {{"sliding_window", 64}, {"layer_types", full}}), "accepted");
    const json chunked = std::vector<std::string>(30, "chunked_attention");
    EXPECT_THAT(family(qwen, {{"layer_types", chunked}}), HasSubstr("'layer_types[0]' is 'chunked_attention'"));
  }
  for (const char* slides : {"Gemma3", "Olmo3", "GraniteSWA", "Ministral"})
    EXPECT_THAT(family(slides, {{"sliding_window", nullptr}}), HasSubstr("'sliding_window' is missing")) << slides;
}

/// Where transformers has a default for what is missing, and none for null.
TEST(HfConfig, null_is_not_as_missing_everywhere) {
  for (const char* name : {"rope_theta", "hidden_act", "tie_word_embeddings"}) {
    json config = smollm2();
    config[name] = nullptr;
    EXPECT_THAT(refusal_of(config), HasSubstr(std::string("'") + name + "' is null")) << name;
  }
  json config = smollm2();
  config["rope_theta"] = nullptr;
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  EXPECT_EQ(refusal_of(config), "accepted");
  const json ministral = with(smollm2(), {{"architectures", {"Ministral3ForCausalLM"}}, {"attention_bias", nullptr}});
  const json yarn{{"rope_type", "yarn"}, {"factor", 4}, {"rope_theta", 1e6}, {"original_max_position_embeddings", 64}};
  EXPECT_THAT(refusal_of(with(ministral, {{"rope_parameters", yarn}})), HasSubstr("llama_4_scaling_beta' is missing"));
  EXPECT_THAT(refusal({{"architectures", {"Phi3ForCausalLM"}}, {"rope_scaling", yarn}}),
              HasSubstr("'rope_scaling' must be of the rope_type 'longrope'"));
}

TEST(HfConfig, what_cannot_be_run_is_refused_by_field) {
  EXPECT_EQ(refusal(json::object()), "accepted");
  EXPECT_THAT(refusal({{"architectures", {"MambaForCausalLM"}}}),
              HasSubstr("'MambaForCausalLM' is not supported; supported are LlamaForCausalLM (SmolLM2 is one)"));
  EXPECT_THAT(refusal({{"hidden_size", nullptr}}), HasSubstr("'hidden_size' is missing"));
  EXPECT_THAT(refusal({{"hidden_size", -1}}), HasSubstr("'hidden_size' is -1; it must be from 1 to 2147483648"));
  EXPECT_THAT(refusal({{"hidden_size", 1e30}}),
              AllOf(HasSubstr("'hidden_size' must be an integer from "), HasSubstr(", not 1e+30")));
  EXPECT_THAT(refusal({{"hidden_size", "576"}}),
              AllOf(HasSubstr("'hidden_size' must be an integer from "), HasSubstr(", not string")));
  EXPECT_THAT(refusal({{"num_hidden_layers", 2000000000}}),
              HasSubstr("'num_hidden_layers' is 2000000000; it must be from 1 to 1024"));
  EXPECT_THAT(refusal({{"num_key_value_heads", 4}}), HasSubstr("'num_key_value_heads' (4)"));
  EXPECT_THAT(refusal({{"num_attention_heads", 7}, {"num_key_value_heads", 7}}), HasSubstr("'head_dim' is missing"));
  EXPECT_THAT(refusal({{"head_dim", 63}}), HasSubstr("'head_dim' is 63"));
  EXPECT_THAT(refusal({{"hidden_act", "gelu"}}), HasSubstr("'hidden_act' is 'gelu'"));
  EXPECT_THAT(refusal({{"quantization_config", {{"bits", 4}}}}), HasSubstr("'quantization_config'"));
  EXPECT_THAT(refusal({{"partial_rotary_factor", 0.5}}), HasSubstr("'partial_rotary_factor'"));
  EXPECT_THAT(refusal({{"is_causal", false}}), HasSubstr("'is_causal' is false"));
  EXPECT_THAT(refusal({{"attention_bias", true}}), HasSubstr("biases on the attention's output"));
  EXPECT_THAT(refusal({{"mlp_bias", true}}), HasSubstr("biases in the MLPs"));
  EXPECT_THAT(refusal({{"rope_parameters", {{"rope_type", "linear"}}}}),
              HasSubstr("'rope_parameters.factor' is missing"));
  EXPECT_THAT(refusal({{"rope_parameters", {{"rope_type", "unheard"}, {"factor", 2}}}}),
              HasSubstr("'rope_parameters.rope_type' is 'unheard'"));
  EXPECT_THAT(refusal({{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}}),
              HasSubstr("'partial_rotary_factor'"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"type", "default"}, {"mrope_section", {1, 2}}}}}),
              HasSubstr("'rope_scaling.mrope_section'"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}),
              HasSubstr("'rope_scaling.type' is 'dynamic'"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}}}),
              HasSubstr("'rope_scaling.short_factor' is missing"));
  EXPECT_THAT(refusal({{"architectures", {"Gemma4ForCausalLM"}}}), HasSubstr("'Gemma4ForCausalLM' is not supported"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 2}}}}),
              HasSubstr("rope_scaling.low_freq_factor"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "linear"}}}}), HasSubstr("'rope_scaling.factor' is missing"));
  EXPECT_THAT(refusal({{"rms_norm_eps", 0}}), HasSubstr("'rms_norm_eps' must be a positive number"));
  EXPECT_THAT(refusal({{"eos_token_id", 49152}}), HasSubstr("'eos_token_id' holds 49152"));
  EXPECT_THAT(refusal({{"eos_token_id", {"x"}}}),
              AllOf(HasSubstr("'eos_token_id[0]' must be an integer from "), HasSubstr(", not string")));
  EXPECT_THAT(refusal({{"tie_word_embeddings", 1}}), HasSubstr("'tie_word_embeddings' must be true or false"));
}

}  // namespace
}  // namespace ingrain::families
