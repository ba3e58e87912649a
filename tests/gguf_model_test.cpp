// What GGUF metadata say of the model and of its tokenizer.
#include "tokenizer/gguf_tokenizer.h"
#include "families/families.h"

#include "base/error.h"
#include "gguf_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingrain::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A whole file from its parts; the tensors share one block of zeros.
std::string assemble(const std::vector<std::string>& keys, const std::vector<std::string>& tensors, size_t data) {
  GgufBuilder out;
  out.header(tensors.size(), keys.size());
  for (const auto& key : keys) out.raw(key);
  for (const auto& tensor : tensors) out.raw(tensor);
  return out.data(data).bytes();
}

template <class T>
std::string key(std::string_view name, const T& value) {
  return GgufBuilder().key(name, value).bytes();
}

std::string tensor(std::string_view name, const std::vector<uint64_t>& dims) {
  return GgufBuilder().tensor(name, dims, 0, 0).bytes();
}

std::vector<std::string> keys_of(const std::string& arch) {
  return {key("general.architecture", std::string_view(arch)),
          key(arch + ".block_count", 2u),
          key(arch + ".embedding_length", 16u),
          key(arch + ".feed_forward_length", 32u),
          key(arch + ".attention.head_count", 4u),
          key(arch + ".attention.head_count_kv", 2u),
          key(arch + ".context_length", 64u),
          key(arch + ".rope.freq_base", 1e5f),
          key("tokenizer.ggml.bos_token_id", 1u),
          key("tokenizer.ggml.eos_token_id", 2u),
          key("tokenizer.ggml.eot_token_id", 3u)};
}

std::vector<std::string> llama_keys() { return keys_of("llama"); }

const std::string kEmbedding = tensor("token_embd.weight", {16, 10});

ModelConfig describe(const std::vector<std::string>& keys, std::vector<std::string> tensors = {}) {
  tensors.push_back(kEmbedding);
  const std::string bytes = assemble(keys, tensors, 16 * 10 * 4);
  return families::read_gguf(Gguf(bytes, "m.gguf")).config;
}

std::string refusal(std::vector<std::string> keys, const std::vector<std::string>& more,
                    const std::vector<std::string>& tensors = {}) {
  keys.insert(keys.end(), more.begin(), more.end());
  try {
    describe(keys, tensors);
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::StartsWith("m.gguf"));
    return e.what();
  }
  return "accepted";
}

TEST(GgufModel, a_llama_is_described) {
  const auto d = describe(llama_keys());
  EXPECT_EQ(d.vocab_size, 10);
  EXPECT_EQ(d.num_layers, 2);
  EXPECT_EQ(d.head_dim, 4);
  EXPECT_EQ(d.num_kv_heads, 2);
  EXPECT_EQ(d.rope_theta, 1e5);
  EXPECT_TRUE(d.rope_interleaved && d.tie_embeddings);
  EXPECT_FALSE(d.qk_norm || d.qkv_bias);
  EXPECT_THAT(d.eos_ids, ElementsAre(2, 3));
}

TEST(GgufModel, tensors_tell_biases_norms_and_the_head) {
  const auto d = describe(llama_keys(), {tensor("output.weight", {16, 10}), tensor("blk.0.attn_q.bias", {16}),
                                         tensor("blk.0.attn_q_norm.weight", {4})});
  EXPECT_TRUE(d.qkv_bias && d.qk_norm);
  EXPECT_FALSE(d.tie_embeddings);
}

std::string per_layer(std::string_view name, const std::vector<int32_t>& values) { return key(name, values); }

/// As llama.cpp reads them.
TEST(GgufModel, what_metadata_leave_out_has_its_defaults) {
  auto keys = llama_keys();
  keys.push_back(key("llama.rope.scaling.factor", 4.0f));  // of no type: linear
  EXPECT_EQ(describe(keys).rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(describe(keys).rope_scaling.factor, 4);
  keys.back() = key("llama.rope.scale_linear", 2.0f);
  EXPECT_EQ(describe(keys).rope_scaling.factor, 2);
  keys.push_back(key("llama.rope.scaling.factor", 0.0f));  // says nothing
  EXPECT_EQ(describe(keys).rope_scaling.factor, 1);
  auto fewer = llama_keys();
  std::erase_if(
      fewer, [](const std::string& k) { return k.find("head_count_kv") != k.npos || k.find("freq_base") != k.npos; });
  EXPECT_EQ(describe(fewer).num_kv_heads, 4);
  EXPECT_EQ(describe(fewer).rope_theta, 10000);
}

TEST(GgufModel, a_number_for_each_layer_is_one_for_all_if_they_are_the_same) {
  auto keys = llama_keys();
  std::erase_if(keys, [](const std::string& k) { return k.find("head_count_kv") != k.npos; });
  keys.push_back(per_layer("llama.attention.head_count_kv", {2, 2}));
  EXPECT_EQ(describe(keys).num_kv_heads, 2);
  keys.back() = per_layer("llama.attention.head_count_kv", {2, 4});
  EXPECT_THAT(refusal(keys, {}), HasSubstr("other numbers for other layers"));
}

TEST(GgufModel, rope_scaling_is_read) {
  auto keys = llama_keys();
  keys.push_back(key("llama.rope.scaling.type", std::string_view("yarn")));
  keys.push_back(key("llama.rope.scaling.factor", 4.0f));
  keys.push_back(key("llama.rope.scaling.original_context_length", 16u));
  const auto yarn = describe(keys).rope_scaling;
  EXPECT_EQ(yarn.kind, RopeScaling::Kind::yarn);
  EXPECT_EQ(yarn.factor, 4);
  EXPECT_EQ(yarn.original_max_position, 16);
  EXPECT_NEAR(*yarn.attention_factor, 1.138629436, 1e-9);
}

TEST(GgufModel, a_window_counts_only_where_the_family_has_one) {
  auto keys = llama_keys();
  keys.push_back(key("llama.attention.sliding_window", 8u));
  EXPECT_TRUE(describe(keys).full_attention());  // llama.cpp, too, does not look at it
}

TEST(GgufModel, every_fourth_layer_of_smollm3_is_not_rotated) {
  auto keys = keys_of("smollm3");
  keys[1] = key("smollm3.block_count", 8u);
  const ModelConfig c = describe(keys);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(c.layer(i).rotated, i % 4 != 3) << i;
  EXPECT_TRUE(c.rope_interleaved);
}

TEST(GgufModel, what_cannot_be_run_is_refused_by_key) {
  EXPECT_EQ(refusal(llama_keys(), {}), "accepted");
  EXPECT_THAT(refusal({key("general.architecture", std::string_view("mamba"))}, {}), HasSubstr("'mamba'"));
  EXPECT_THAT(refusal({key("general.architecture", std::string_view("llama"))}, {}),
              HasSubstr("'llama.block_count' is missing"));
  EXPECT_THAT(refusal(llama_keys(), {key("split.count", 3u)}), HasSubstr("one of 3 parts of a split GGUF file"));
  EXPECT_THAT(refusal(llama_keys(), {}, {tensor("blk.0.attn_output.bias", {16})}),
              HasSubstr("biases on the attention's output"));
  EXPECT_THAT(refusal(llama_keys(), {key("llama.expert_count", 8u)}), HasSubstr("mixtures of experts"));
  EXPECT_THAT(refusal(llama_keys(), {key("llama.attention.causal", false)}),
              HasSubstr("'llama.attention.causal' is false"));
  EXPECT_EQ(refusal(llama_keys(), {key("llama.attention.causal", true)}), "accepted");
  EXPECT_THAT(refusal(llama_keys(), {key("llama.rope.dimension_count", 2u)}), HasSubstr("part of each head"));
  EXPECT_THAT(refusal(llama_keys(), {key("llama.attention.key_length", 3u)}), HasSubstr("'head_dim' is 3"));
  EXPECT_THAT(refusal(llama_keys(), {key("llama.rope.scaling.type", std::string_view("longrope"))}),
              HasSubstr("'longrope'"));
  // The block of zeros is no divisor.
  EXPECT_THAT(refusal(llama_keys(), {}, {tensor("rope_freqs.weight", {2})}), HasSubstr("not positive"));
  EXPECT_THAT(refusal(llama_keys(), {}, {tensor("rope_freqs.weight", {3})}), HasSubstr("3 numbers; 2 are needed"));
}

const std::vector<std::string> kTokens = {"<s>", "a", "b", "c", "ab", "Ġ", "Ġab", "!", "", "<tool>"};

std::vector<std::string> tokenizer_keys() {
  return {key("tokenizer.ggml.model", std::string_view("gpt2")), key("tokenizer.ggml.tokens", kTokens),
          key("tokenizer.ggml.token_type", std::vector<int32_t>{3, 1, 1, 1, 1, 1, 1, 1, 5, 4}),
          key("tokenizer.ggml.merges", std::vector<std::string>{"a b", "Ġ ab"}),
          key("tokenizer.ggml.bos_token_id", 0u)};
}

std::vector<int32_t> encode(std::vector<std::string> keys, const std::string& more, std::string_view text,
                            bool special) {
  if (!more.empty()) keys.push_back(more);
  const std::string bytes = assemble(keys, {}, 0);
  return tokenizer::gguf_tokenizer(Gguf(bytes, "m.gguf")).encode(text, {.add_special_tokens = special});
}

TEST(GgufTokenizer, merges_and_added_tokens_make_the_ids) {
  EXPECT_THAT(encode(tokenizer_keys(), "", "ab abc<tool>!<s>", false), ElementsAre(4, 6, 3, 9, 7, 0));
}

TEST(GgufTokenizer, bos_is_added_where_the_file_says_so) {
  EXPECT_THAT(encode(tokenizer_keys(), "", "a", true), ElementsAre(1));
  EXPECT_THAT(encode(tokenizer_keys(), key("tokenizer.ggml.add_bos_token", true), "a", true), ElementsAre(0, 1));
  EXPECT_THAT(encode(tokenizer_keys(), key("tokenizer.ggml.add_bos_token", true), "a", false), ElementsAre(1));
  EXPECT_THAT(encode(tokenizer_keys(), key("tokenizer.ggml.pre", std::string_view("llama-bpe")), "a", true),
              ElementsAre(0, 1));
}

TEST(GgufTokenizer, contradictions_are_refused_by_key) {
  const auto refused = [](size_t changed, const std::string& replacement) -> std::string {
    auto keys = tokenizer_keys();
    keys[changed] = replacement;
    try {
      encode(keys, "", "a", false);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refused(0, key("tokenizer.ggml.model", std::string_view("rwkv"))),
              HasSubstr("tokenizer.ggml.model is 'rwkv'"));
  EXPECT_THAT(refused(2, key("tokenizer.ggml.token_type", std::vector<int32_t>{1})),
              HasSubstr("1 entries for 10 tokens"));
  EXPECT_THAT(refused(3, key("tokenizer.ggml.merges", std::vector<std::string>{"ab"})), HasSubstr("two parts"));
  EXPECT_THAT(refused(4, key("tokenizer.ggml.bos_token_id", 10u)), HasSubstr("is 10, but there are 10 tokens"));
  EXPECT_THAT(refused(4, key("tokenizer.ggml.pre", std::string_view("unheard-of"))), HasSubstr("unheard-of"));
}

}  // namespace
}  // namespace ingrain::formats
