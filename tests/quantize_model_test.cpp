// Models as GGUF files: the same numbers where nothing is rounded, near ones where it is, fast weights as they are.
#include "store/quantize_model.h"

#include "base/error.h"
#include "base/files.h"
#include "families/families.h"
#include "scratch.h"
#include "families/gguf_description.h"
#include "store/model_files.h"
#include "store/open_model.h"
#include "store/pretrained.h"
#include "tiny_model.h"
#include "ttt/read.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ingrain {
namespace {

namespace fs = std::filesystem;
using test::max_difference;
using ::testing::HasSubstr;

class QuantizeModel : public ScratchTest {
 protected:
  /// A folder of ours with this configuration and random weights.
  fs::path folder_of(const ModelConfig& config) {
    save_model(dir_ / "model", config, initial_weights(config, 4), at::kFloat);
    return dir_ / "model";
  }
  fs::path quantized(const fs::path& model, const char* type) {
    const QuantizedModel out(model, *formats::find_mixture(type));
    out.write(dir_ / "out.gguf", [](uint64_t) {});
    return dir_ / "out.gguf";
  }
  static Tensor scores(const fs::path& path, bool learn = false) {
    const Network model = load_model(path, at::kFloat);
    ttt::Memory memory = ttt::empty_memory(model);
    ttt::ReadOptions options;
    options.learn = learn;
    const Tensor tokens = test::random_tokens(model.config, 1, 40);
    return ttt::read(model, memory, tokens, options).nll_Bn.narrow(1, 1, 39);
  }
};

/// What each architecture of llama.cpp's is made for.
ModelConfig plain(bool pairs) {
  ModelConfig config = test::tiny_config({.layers = 4, .suffix = 0, .kv_heads = 1, .post_norm = false});
  config.window = ModelConfig::kFullAttention;
  config.qk_norm = false;
  config.rope_interleaved = pairs;
  config.fast_post_norm = false;
  config.hidden_size = 32;  // whole blocks
  config.mlp_size = 64;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  return config;
}

TEST_F(QuantizeModel, a_model_of_a_known_architecture_is_one_of_it_and_scores_the_same) {
  for (const bool pairs : {true, false}) {
    const fs::path model = folder_of(plain(pairs)), file = quantized(model, "f32");
    const formats::Gguf gguf(file);
    EXPECT_EQ(gguf.need<std::string_view>("general.architecture"), "llama");
    EXPECT_NE(gguf.find_tensor("blk.3.attn_q.weight"), nullptr);
    EXPECT_LT(max_difference(scores(file), scores(model)), 1e-5) << pairs;
  }
  ModelConfig qwen3 = plain(false);
  qwen3.qk_norm = true;
  const fs::path model = folder_of(qwen3), file = quantized(model, "f32");
  EXPECT_EQ(formats::Gguf(file).need<std::string_view>("general.architecture"), "qwen3");
  EXPECT_LT(max_difference(scores(file), scores(model)), 1e-5);
}

TEST_F(QuantizeModel, a_model_with_fast_weights_learns_the_same) {
  const ModelConfig config = test::tiny_config({.layers = 4, .suffix = 2});
  const fs::path model = folder_of(config), file = quantized(model, "f32");
  EXPECT_EQ(formats::Gguf(file).need<std::string_view>("general.architecture"), "ingrain");
  EXPECT_EQ(to_json(load_model(file, at::kFloat).config), to_json(config));
  EXPECT_LT(max_difference(scores(file, true), scores(model, true)), 1e-6);
  EXPECT_GT(max_difference(scores(file, true), scores(file, false)), 1e-4) << "it learns";
}

TEST_F(QuantizeModel, fast_weights_and_norms_are_not_rounded) {
  const ModelConfig config = test::tiny_config({.layers = 4, .suffix = 2});
  const fs::path model = folder_of(config), file = quantized(model, "bf16");
  const Network before = load_model(model, at::kFloat), after = load_model(file, at::kFloat);
  Weights a = before.weights, b = after.weights;
  int rounded = 0;
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    const Tensor x = parameter.member(a, layer), y = parameter.member(b, layer);
    const bool same = x.equal(y), weights = parameter.quantizable || parameter.kind == ParameterKind::embedding;
    EXPECT_TRUE(same || (parameter.step != Step::fast && weights)) << full_name(parameter, layer);
    rounded += same ? 0 : 1;
  });
  EXPECT_GT(rounded, 8);
}

TEST_F(QuantizeModel, a_file_is_quantized_again_and_says_so) {
  const fs::path model = folder_of(plain(true));
  fs::rename(quantized(model, "f32"), dir_ / "whole.gguf");
  const QuantizedModel first(dir_ / "whole.gguf", *formats::find_mixture("q8_0"));
  EXPECT_TRUE(first.notes().empty());
  first.write(dir_ / "q8.gguf", [](uint64_t) {});
  EXPECT_LT(max_difference(scores(dir_ / "q8.gguf"), scores(model)), 0.5);
  const QuantizedModel again(dir_ / "q8.gguf", *formats::find_mixture("q4_0"));
  ASSERT_EQ(again.notes().size(), 1u);
  EXPECT_THAT(again.notes()[0], HasSubstr("quantized already"));
  uint64_t done = 0;
  again.write(dir_ / "q4.gguf", [&](uint64_t weights) {
    EXPECT_GT(weights, done);
    done = weights;
  });
  EXPECT_EQ(done, again.weights());
  EXPECT_EQ(again.bytes(), fs::file_size(dir_ / "q4.gguf"));
}

TEST_F(QuantizeModel, numbers_that_are_none_are_refused_and_nothing_is_left) {
  fs::rename(quantized(folder_of(plain(true)), "f32"), dir_ / "whole.gguf");
  std::string bytes = read_file(dir_ / "whole.gguf", 1 << 24);
  const std::string down(formats::Gguf(dir_ / "whole.gguf").tensor("blk.1.ffn_down.weight").bytes);
  const float infinity = INFINITY;
  bytes.replace(bytes.find(down), sizeof infinity, reinterpret_cast<const char*>(&infinity), sizeof infinity);
  put(dir_ / "damaged.gguf", bytes);
  EXPECT_THAT(error_of([&] { quantized(dir_ / "damaged.gguf", "q8_0"); }), HasSubstr("NaN or an infinity"));
  EXPECT_FALSE(fs::exists(dir_ / "out.gguf"));
}

}  // namespace
}  // namespace ingrain
