#include "store/import_reference.h"

#include "store/model_files.h"
#include "store/reference_layout.h"
#include "store/tensor_io.h"
#include "scratch.h"
#include "tensor_file.h"

namespace ingrain {
namespace {

class ImportReference : public ScratchTest {
 protected:
  /// A checkpoint of a small model in `type`, with its model.json.
  void write_checkpoint(at::ScalarType type) {
    put(dir_ / "model.json", R"({"vocab_size": 19, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
      "intermediate_size": 12, "suffix_len": 2, "sliding_window_size": 5, "mini_batch_size": 4, "rope_theta": 500000.0,
      "rms_norm_eps": 1e-6, "initializer_range": 0.02, "tie_word_embeddings": false, "qk_norm": true, "pre_norm": true,
      "post_norm": true, "bos_token_id": 0, "eos_token_id": 1, "inner_lr": 1.0, "inner_clip": 1.0,
      "trained_sequence_length": 16})");
    ModelConfig c;
    c.vocab_size = 19, c.hidden_size = 8, c.num_layers = 3, c.num_heads = c.num_kv_heads = 2, c.head_dim = 4;
    c.mlp_size = c.fast_mlp_size = 12, c.suffix_len = 2, c.tie_embeddings = false;
    TensorWriter writer;
    for (const auto& [name, tensor] : to_reference(c, initial_weights(c, 7))) source_[name] = tensor.to(type);
    for (const auto& [name, tensor] : source_) writer.add(name, tensor);
    writer.write(dir_ / "params.safetensors");
  }

  ReferenceTensors source_;
};

TEST_F(ImportReference, export_gives_back_what_import_read_bit_for_bit) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    source_.clear();
    write_checkpoint(type);
    const ReferenceCheckpoint checkpoint = load_reference_checkpoint(dir_, dir_ / "model.json");
    EXPECT_EQ(checkpoint.type, type);
    EXPECT_FALSE(checkpoint.optimizer.has_value());
    save_model(dir_ / "model", checkpoint.config, checkpoint.weights, checkpoint.type);
    export_reference(dir_ / "model", dir_ / "back.safetensors");
    const formats::SafetensorsFile back(dir_ / "back.safetensors");
    ASSERT_EQ(back.tensors().size(), source_.size());
    for (const auto& [name, tensor] : source_) {
      const Tensor copy = read_tensor(back, name);
      EXPECT_EQ(copy.scalar_type(), type) << name;
      EXPECT_TRUE(at::equal(copy, tensor)) << name;
    }
  }
}

TEST_F(ImportReference, a_missing_misshaped_or_infinite_tensor_is_named) {
  write_checkpoint(at::kFloat);
  const auto error_with = [&](const std::string& name, std::optional<Tensor> tensor) {
    std::map<std::string, Tensor> tensors(source_.begin(), source_.end());
    tensors.erase(name);
    if (tensor) tensors[name] = *tensor;
    test::write_tensors(tensors, dir_ / "params.safetensors");
    return error_of([&] { load_reference_checkpoint(dir_, dir_ / "model.json"); });
  };
  const std::string name = "language_model.model.h.blocks.feed_forward.w2.weight";
  EXPECT_TRUE(contains(error_with(name, std::nullopt), name));
  EXPECT_TRUE(contains(error_with(name, at::zeros({3, 12, 9})), name));
  EXPECT_TRUE(contains(error_with(name, at::zeros({2, 12, 8})), name));
  EXPECT_TRUE(contains(error_with(name, at::full({3, 12, 8}, INFINITY)), "NaN or an infinity"));
  EXPECT_EQ(error_with(name, source_[name]), "");
}

TEST_F(ImportReference, the_configuration_is_found_beside_the_weights_or_above) {
  write_checkpoint(at::kFloat);
  std::filesystem::create_directories(dir_ / "orbax/2");
  EXPECT_EQ(find_reference_config(dir_ / "orbax/2/"), dir_ / "model.json");
  EXPECT_EQ(find_reference_config(dir_), dir_ / "model.json");
  std::filesystem::remove(dir_ / "model.json");
  EXPECT_TRUE(contains(error_of([&] { find_reference_config(dir_); }), "config is missing"));
}

}  // namespace
}  // namespace ingrain
