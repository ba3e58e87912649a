// The outer loop on a tiny model and random tokens: configuration, resuming, skipping, accumulation.
#include "data/random.h"
#include "scratch.h"
#include "store/model_files.h"
#include "train/memory_plan.h"
#include "model/mixers/kinds.h"
#include "train/run.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

namespace ingrain::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kRun = R"([model]
vocab_size = 60
hidden_size = 16
num_hidden_layers = 3
num_attention_heads = 2
intermediate_size = 24
suffix_len = 1
sliding_window = 12
chunk_size = 8

[data]
train = "tokens.bin"
sequence_length = 32

[train]
steps = 10
batch = 4
lr = 0.01
dtype = "fp32"

[checkpoint]
folder = "run"
)";

class Training : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    std::string bytes;
    data::SplitMix64 random(7, 0);
    for (int i = 0; i < 4000; ++i) {
      bytes += static_cast<char>(random.below(60));
      bytes += '\0';
    }
    put(dir_ / "tokens.bin", bytes);
    put(dir_ / "run.toml", kRun);
  }

  RunConfig config(const std::vector<std::string>& overrides = {}) {
    return load_run_config(dir_ / "run.toml", overrides);
  }
  std::string refusal(const std::vector<std::string>& overrides) {
    return error_of([&] { config(overrides); });
  }
  /// In another checkpoint folder, so that runs do not meet.
  RunConfig config_in(const std::string& folder, std::vector<std::string> overrides = {}) {
    overrides.push_back("checkpoint.folder=" + (dir_ / folder).string());
    return config(overrides);
  }
};

std::vector<Tensor> copies(const Trainer& trainer) {
  std::vector<Tensor> out;
  for (const StateTensor& t : trainer.state()) out.push_back(t.x_n.clone());
  return out;
}

void expect_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << "tensor " << i;
}

TEST_F(Training, defaults_follow_the_reference) {
  const RunConfig run = config({"train.steps=1000"});
  EXPECT_EQ(run.train.rate.warmup, 100);
  EXPECT_EQ(run.train.inner_rate.warmup, 100);
  EXPECT_EQ(run.train.adamw.weight_decay, 0.1);
  EXPECT_EQ(run.model.config.fast_mlp_size, 24);
  EXPECT_EQ(run.model.config.trained_length, 32);
  EXPECT_EQ(run.checkpoint.model, dir_ / "run" / "model");
  EXPECT_EQ(run.train.device, "auto");
}

TEST_F(Training, configuration_errors_name_place_and_remedy) {
  EXPECT_THAT(refusal({"train.stepz=3"}), HasSubstr("did you mean 'train.steps'"));
  EXPECT_THAT(refusal({"model.hiden_size=3"}), HasSubstr("did you mean 'hidden_size'"));
  EXPECT_THAT(refusal({"train.mode=mata"}), HasSubstr("choose one of: meta, standard"));
  EXPECT_THAT(refusal({"train.accumulation=3"}), HasSubstr("must divide train.batch (4)"));
  EXPECT_THAT(refusal({"data.sequence_length=33"}), HasSubstr("multiple of the model's chunk_size (8)"));
  EXPECT_THAT(refusal({"train.lr=nan"}), HasSubstr("train.lr"));
  EXPECT_THAT(refusal({"train.device=gpu"}), HasSubstr("train.device: 'gpu' is not a device"));
  EXPECT_THAT(error_of([&] { Trainer trainer(config({"train.device=cuda:99"})); }),
              HasSubstr("train.device cuda:99: "));
  EXPECT_THAT(refusal({"model.preset=13b"}), HasSubstr("the presets are"));
  EXPECT_THAT(refusal({"model.suffix_len=0"}), HasSubstr("needs a model with fast weights"));
  EXPECT_THAT(refusal({"train.train_only=blocks.9.*"}), HasSubstr("no parameter is called"));
  EXPECT_THAT(refusal({"data.train=absent.bin"}), HasSubstr("absent.bin"));
  put(dir_ / "run.toml", "[train]\nsteps = 1\n");
  EXPECT_THAT(refusal({}), HasSubstr("data.train is missing; below [data] write"));
}

TEST_F(Training, the_resolved_configuration_reads_back_as_itself) {
  const std::string text = resolved_toml(config({"train.train_only=[\"*.fast.*\"]", "model.sliding_window=full"}));
  put(dir_ / "again.toml", text);
  EXPECT_EQ(resolved_toml(load_run_config(dir_ / "again.toml")), text);
}

TEST_F(Training, recomputing_is_planned_by_the_memory_that_is_free) {
  const int64_t spare = int64_t{1} << 30, plenty = int64_t{1} << 40;
  const RunConfig as_fits = config({"train.recompute=auto"}), keeping = config({"train.recompute=false"});
  const int64_t kept = estimate_memory(as_fits, at::kFloat, false).without_head(),
                least = estimate_memory(as_fits, at::kFloat, true).without_head();
  ASSERT_LT(least, kept);
  EXPECT_FALSE(plan_recompute(as_fits, at::kFloat, plenty));
  EXPECT_FALSE(plan_recompute(as_fits, at::kFloat, kept + kept / 8 + spare));
  EXPECT_TRUE(plan_recompute(as_fits, at::kFloat, kept + kept / 8 + spare - 1));
  EXPECT_TRUE(plan_recompute(as_fits, at::kFloat, least));
  EXPECT_TRUE(plan_recompute(as_fits, at::kFloat, std::nullopt)) << "the CPU";
  EXPECT_TRUE(plan_recompute(config(), at::kFloat, plenty)) << "true is true";
  EXPECT_FALSE(plan_recompute(keeping, at::kFloat, kept));
  // What cannot fit is an error that says what to change.
  const auto refused = [](const RunConfig& run, int64_t free) {
    return error_of([&] { plan_recompute(run, at::kFloat, free); });
  };
  EXPECT_THAT(refused(as_fits, least - 1),
              AllOf(HasSubstr("train.device has"), HasSubstr("raise train.accumulation"), Not(HasSubstr("recompute"))));
  EXPECT_THAT(refused(keeping, kept - 1), HasSubstr("set train.recompute = true"));
  EXPECT_LT(estimate_memory(config({"train.accumulation=2"}), at::kFloat, true).activations,
            estimate_memory(config(), at::kFloat, true).activations);
  EXPECT_THAT(resolved_toml(as_fits), HasSubstr("recompute = \"auto\""));
  EXPECT_THAT(refusal({"train.recompute=3"}), HasSubstr("write true, false or \"auto\""));
  EXPECT_TRUE(Trainer(as_fits).recomputes());
}

TEST_F(Training, what_the_host_keeps_is_planned_where_a_gpu_trains) {
  const std::vector<std::string> long_ones{"data.sequence_length=512", "train.kept_mib=0", "train.device=auto",
                                           "model.fast_intermediate_size=4096"};
  const auto planned = [&](std::vector<std::string> more) {
    more.insert(more.end(), long_ones.begin(), long_ones.end());
    return estimate_memory(config(more), at::kFloat, true);
  };
  const MemoryEstimate without = planned({}), with = planned({"train.kept_host_mib=1024"});
  EXPECT_EQ(without.host, 0);
  EXPECT_GT(with.host, 0);
  EXPECT_LT(with.fast, without.fast);
  const int64_t set = 3 * 16 * 4096 * 4 * 4;  // one block's fast weights, of four sequences
  EXPECT_EQ(with.host, 63 * set) << "64 chunks' steps start from something, the last one from what is here";
  auto on_cpu =
      config({"data.sequence_length=512", "train.kept_mib=0", "train.device=cpu", "train.kept_host_mib=1024"});
  EXPECT_EQ(estimate_memory(on_cpu, at::kFloat, true).host, 0) << "its memory is the host's";
}

TEST_F(Training, schedules_have_the_values_of_their_formulas) {
  const Schedule rate{0, 3e-3, 1e-5, 100, 1000};
  EXPECT_EQ(rate.at(0), 0);
  EXPECT_DOUBLE_EQ(rate.at(50), 1.5e-3);
  EXPECT_DOUBLE_EQ(rate.at(100), 3e-3);
  EXPECT_DOUBLE_EQ(rate.at(550), 1e-5 + (3e-3 - 1e-5) / 2);
  EXPECT_DOUBLE_EQ(rate.at(325), 1e-5 + (3e-3 - 1e-5) * (1 + std::cos(std::numbers::pi / 4)) / 2);
  EXPECT_DOUBLE_EQ(rate.at(1000), 1e-5);
  const InnerRateWarmup inner{0.1, 2, 10};
  EXPECT_DOUBLE_EQ(inner.multiplier(0), (0.1 + 1.9 * 0.1) / 2);
  EXPECT_DOUBLE_EQ(inner.multiplier(9), 1);
  EXPECT_DOUBLE_EQ(inner.multiplier(500), 1);
}

const std::vector<std::string> kDeltaNet{"model.mixer=gated_delta_net", "model.linear_num_key_heads=2",
                                         "model.linear_num_value_heads=2", "model.linear_key_head_dim=8",
                                         "model.linear_value_head_dim=8"};
const std::vector<std::string> kMamba{"train.mode=standard",   "model.suffix_len=2",   "model.mixer=mamba2",
                                      "model.mamba_n_heads=4", "model.mamba_d_head=8", "model.mamba_d_state=8"};
std::vector<std::string> with_delta_net(std::vector<std::string> overrides) {
  overrides.insert(overrides.end(), kDeltaNet.begin(), kDeltaNet.end());
  return overrides;
}

TEST_F(Training, ten_steps_are_five_a_resume_and_five_bit_for_bit) {
  const std::vector<std::vector<std::string>> variants{{},
                                                       {"train.mode=standard"},
                                                       {"train.dtype=bf16"},
                                                       {"data.order=numpy", "train.accumulation=2"},
                                                       with_delta_net({"train.mode=standard", "model.suffix_len=2"}),
                                                       with_delta_net({"train.dtype=bf16"}),
                                                       kMamba};
  for (size_t i = 0; i < variants.size(); ++i) {
    Trainer whole(config_in(fmt::format("whole{}", i), variants[i]));
    while (!whole.done()) whole.advance();

    const RunConfig parts = config_in(fmt::format("parts{}", i), variants[i]);
    fs::create_directories(parts.checkpoint.folder);
    {
      Trainer first(parts);
      while (first.counters().step < 5) first.advance();
      save_checkpoint(first, 0);
    }
    Trainer second(parts);
    resume_newest(second);
    EXPECT_EQ(second.counters().step, 5);
    while (!second.done()) second.advance();
    expect_same_bits(copies(whole), copies(second));
    EXPECT_EQ(whole.loader_state(), second.loader_state());
    EXPECT_EQ(whole.counters().tokens, second.counters().tokens);
  }
}

TEST_F(Training, the_loss_of_repeated_text_falls) {
  std::string bytes;
  for (int i = 0; i < 4000; ++i) bytes += static_cast<char>(i % 10 + 1), bytes += '\0';
  put(dir_ / "tokens.bin", bytes);
  Trainer trainer(config({"train.steps=100"}));
  const double before = trainer.advance().loss;
  double after = before;
  while (!trainer.done()) after = trainer.advance().loss;
  EXPECT_NEAR(before, std::log(60), 0.2);
  EXPECT_LT(after, 1);
}

TEST_F(Training, of_recurrent_mixers_learns_and_is_refused_where_it_cannot_be_meta) {
  std::string bytes;
  for (int i = 0; i < 4000; ++i) bytes += static_cast<char>(i % 10 + 1), bytes += '\0';
  put(dir_ / "tokens.bin", bytes);
  // In meta the first suffix block's mixer may be one.
  std::vector<std::string> mamba = kMamba;
  mamba.push_back("train.steps=100");
  const std::pair<const char*, std::vector<std::string>> runs[] = {
      {"standard", with_delta_net({"train.steps=100", "train.mode=standard"})},
      {"meta", with_delta_net({"train.steps=100", "train.mode=meta"})},
      {"mamba", mamba}};
  for (const auto& [mode, overrides] : runs) {
    Trainer trainer(config_in(mode, overrides));
    const double before = trainer.advance().loss;
    double after = before;
    while (!trainer.done()) after = trainer.advance().loss;
    EXPECT_NEAR(before, std::log(60), 0.2);
    EXPECT_LT(after, 1) << mode;
  }
  EXPECT_THAT(refusal(with_delta_net({"model.suffix_len=2"})),
              AllOf(HasSubstr("block 2 has a recurrent mixer"), HasSubstr("set train.mode = \"standard\"")));
  std::vector<std::string> meta = kMamba;
  meta[0] = "train.mode=meta";
  EXPECT_THAT(refusal(meta), HasSubstr("block 2 has a recurrent mixer"));
}

TEST_F(Training, a_model_of_layers_that_differ_can_be_described_and_reads_back) {
  const std::vector<std::string> overrides = with_delta_net(
      {"model.mixer=attention", "model.sliding_window=8",
       "model.layers=[{ mixer = \"gated_delta_net\" }, { sliding_window = \"full\" }, { rope = false }]"});
  auto differing = overrides;
  std::erase(differing, "model.mixer=gated_delta_net");
  const RunConfig run = config(differing);
  EXPECT_EQ(run.model.config.layer(0).mixer, MixerKind::gated_delta_net);
  EXPECT_TRUE(run.model.config.layer(1).full_attention());
  EXPECT_EQ(run.model.config.layer(2).window, 8);
  const std::string text = resolved_toml(run);
  put(dir_ / "again.toml", text);
  EXPECT_EQ(resolved_toml(load_run_config(dir_ / "again.toml")), text);
}

/// Whatever the field: it may say what the folder's model is, or change what asks for the same weights.
TEST_F(Training, no_field_takes_other_weights_than_the_folders) {
  const ModelConfig own = config().model.config;
  const nlohmann::json fields = to_json(own);
  fs::create_directories(dir_ / "model");
  put(dir_ / "model" / "config.json", fields.dump());
  const std::string folder = "model.folder=" + (dir_ / "model").string();
  EXPECT_EQ(config({folder}).model.config.hidden_size, 16) << "said once more";
  int refused = 0;
  for (const std::string& key : config_keys()) {
    const auto now = fields.find(key);
    if (now != fields.end() && !now->is_boolean()) continue;
    const bool is = now != fields.end() && now->get<bool>();  // what is left out is off, or no flag
    const std::string change = fmt::format("model.{}={}", key, is ? "false" : "true");
    const std::string why = error_of([&] {
      const ModelConfig changed = config({folder, change}).model.config;
      EXPECT_EQ(parameter_count(changed), parameter_count(own)) << change;
    });
    refused += why.find("has other weights") != why.npos ? 1 : 0;
  }
  EXPECT_GE(refused, 9);
  for (const char* change : {"mlp=false", "pre_norm=false", "attention_sink=true", "attention_output_gate=true",
                             "num_attention_heads=4", "intermediate_size=32", "suffix_len=2"})
    EXPECT_THAT(refusal({folder, fmt::format("model.{}", change)}), HasSubstr("has other weights")) << change;
  EXPECT_EQ(config({folder, "model.sliding_window=9"}).model.config.window, 9);
  const RunConfig together = config({folder, "model.chunk_size=16", "model.inner_step_delay=12"});  // beyond 8 alone
  EXPECT_EQ(together.model.config.inner.step_delay, 12);
}

TEST_F(Training, micro_batches_add_up_to_the_whole_batch) {
  Trainer whole(config_in("a")), parts(config_in("b", {"train.accumulation=4"}));
  for (int i = 0; i < 2; ++i) {  // the first step's rate is 0: both see the same weights twice
    const StepReport a = whole.advance(), b = parts.advance();
    EXPECT_NEAR(a.loss, b.loss, 1e-5);
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-4 * a.gradient_norm);
    EXPECT_NEAR(a.inner_norm, b.inner_norm, 1e-4 * a.inner_norm);
  }
}

TEST_F(Training, train_only_leaves_every_other_parameter_as_it_was) {
  Trainer trainer(config({"train.train_only=[\"*.fast.*\", \"final_norm\"]"}));
  std::map<std::string, Tensor> before;
  for (const StateTensor& t : trainer.state()) before[t.name] = t.x_n.clone();
  for (int i = 0; i < 3; ++i) trainer.advance();
  for (const auto& [name, x, first] : trainer.state()) {
    const bool trained = contains(name, ".fast.") || name.starts_with("final_norm");
    EXPECT_EQ(at::equal(before[name], x), !trained) << name;
  }
}

TEST_F(Training, what_is_not_finite_is_skipped_counted_and_in_the_end_stops_the_run) {
  Trainer trainer(config({"train.max_skipped=3"}));
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(trainer.advance().skipped);
  const auto before = copies(trainer);
  const Tensor norm_D = trainer.master().final_norm_D;
  const Tensor kept = norm_D.clone();
  norm_D.fill_(std::nan(""));
  EXPECT_TRUE(trainer.advance().skipped);
  norm_D.copy_(kept);
  expect_same_bits(before, copies(trainer));  // moments included
  EXPECT_FALSE(trainer.advance().skipped);
  EXPECT_EQ(trainer.counters().skipped, 1);
  EXPECT_EQ(trainer.counters().skipped_in_a_row, 0);
  norm_D.fill_(std::nan(""));
  EXPECT_TRUE(trainer.advance().skipped);
  EXPECT_TRUE(trainer.advance().skipped);
  EXPECT_THAT(error_of([&] { trainer.advance(); }), HasSubstr("3 steps in a row"));
  EXPECT_THAT(error_of([&] { save_checkpoint(trainer, 0); }), HasSubstr("'final_norm' holds a NaN or an infinity"));
  EXPECT_TRUE(list_checkpoints(trainer.run().checkpoint.folder).empty()) << "the ones before stay, and no broken one";
}

TEST_F(Training, while_steps_are_skipped_no_checkpoint_takes_the_place_of_an_older_one) {
  const RunConfig run =
      config({"train.lr=1e12", "train.warmup=1", "train.max_skipped=5", "checkpoint.every=1", "checkpoint.keep=2"});
  EXPECT_THAT(error_of([&] { run_training(run, {}); }), HasSubstr("5 steps in a row"));
  const auto all = list_checkpoints(run.checkpoint.folder);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_LT(all[0], checkpoint_path(run.checkpoint.folder, 5)) << "none of the five";
}

TEST_F(Training, a_truncated_newest_checkpoint_is_named_and_the_one_before_is_used) {
  const RunConfig run = config({"checkpoint.every=2", "checkpoint.keep=3"});
  run_training(run, {});
  const auto all = list_checkpoints(run.checkpoint.folder);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], checkpoint_path(run.checkpoint.folder, 10));
  EXPECT_EQ(all[2], checkpoint_path(run.checkpoint.folder, 6));
  fs::resize_file(all[0], fs::file_size(all[0]) - 100);
  {
    std::fstream file(all[1], std::ios::in | std::ios::out | std::ios::binary);  // a flipped byte among the weights
    file.seekp(-5, std::ios::end);
    file.put('\x55');
  }
  Trainer trainer(run);
  const Resumed resumed = resume_newest(trainer);
  EXPECT_EQ(resumed.path, all[2]);
  ASSERT_EQ(resumed.damaged.size(), 2u);
  EXPECT_THAT(resumed.damaged[0], HasSubstr(all[0].string()));
  EXPECT_THAT(resumed.damaged[1], HasSubstr("checksum"));
}

TEST_F(Training, a_checkpoint_of_another_model_or_of_other_data_is_refused) {
  run_training(config(), {});
  const auto resume_with = [&](const std::vector<std::string>& overrides) {
    return error_of([&] {
      Trainer trainer(config(overrides));
      resume_newest(trainer);
    });
  };
  EXPECT_THAT(resume_with({"model.intermediate_size=32"}), HasSubstr("intermediate_size = 24"));
  EXPECT_THAT(resume_with({"train.batch=2"}), HasSubstr("other data, batch"));
  EXPECT_THAT(resume_with({"train.train_only=*.fast.*"}), HasSubstr("train_only"));
  EXPECT_THAT(error_of([&] { run_training(config(), {}); }), HasSubstr("resume it"));
}

TEST_F(Training, an_interrupted_run_ends_with_a_checkpoint_and_its_log_goes_on_without_a_gap) {
  const RunConfig run =
      config({"validation.paths=" + (dir_ / "tokens.bin").string(), "validation.every=4", "validation.sequences=3"});
  int asked = 0;
  EXPECT_EQ(run_training(run, {false, [&] { return ++asked > 3; }, {}}), RunEnd::interrupted);
  const auto all = list_checkpoints(run.checkpoint.folder);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(fs::exists(run.checkpoint.model));
  std::ofstream(run.log.file, std::ios::app) << "a line of a step that was lost\n";
  EXPECT_EQ(run_training(run, {true, {}, {}}), RunEnd::finished);

  std::ifstream log(run.log.file);
  std::vector<int64_t> steps;
  int validations = 0;
  for (std::string line; std::getline(log, line);) {
    const auto json = nlohmann::json::parse(line);
    if (!json.contains("validation")) {
      steps.push_back(json["step"]);
      continue;
    }
    ++validations;
    EXPECT_EQ(json["position"], nlohmann::json({0, 4, 8, 12, 16, 20, 24, 28}));
    EXPECT_EQ(json["tokens"], 96);
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_EQ(validations, 3);  // after 4, 8 and at the end
}

TEST_F(Training, the_exported_model_is_what_was_trained) {
  const RunConfig run = config();
  run_training(run, {});
  Trainer trainer(run);
  resume_newest(trainer);
  const Network model = load_model(run.checkpoint.model, at::kFloat);
  expect_same_bits(parameter_list(model.config, model.weights), parameter_list(model.config, trainer.master()));
  export_model(checkpoint_path(run.checkpoint.folder, 10), dir_ / "exported", at::kFloat);
  EXPECT_EQ(load_model(dir_ / "exported", at::kFloat).fingerprint, model.fingerprint);
  EXPECT_THAT(error_of([&] { export_model(run.checkpoint.model / "model.safetensors", dir_ / "x", at::kFloat); }),
              HasSubstr("no training checkpoint"));
}

TEST_F(Training, bf16_keeps_fp32_master_weights) {
  Trainer exact(config_in("a")), rounded(config_in("b", {"train.dtype=bf16"}));
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(exact.advance().loss, rounded.advance().loss, 0.02);
  EXPECT_EQ(rounded.master().embedding_VD.scalar_type(), at::kFloat);
  EXPECT_FALSE(
      at::equal(rounded.master().embedding_VD, rounded.master().embedding_VD.to(at::kBFloat16).to(at::kFloat)));
}

TEST_F(Training, pieces_of_any_number_of_ranks_are_all_numbers_once_with_the_same_sums_of_squares) {
  const ModelConfig c = config({"model.hidden_size=64", "model.intermediate_size=96"}).model.config;
  const GradientSums gradients(c, initial_weights(c, 1));
  for (const GradientSums::Place& place : gradients.places())
    gradients.flat().narrow(0, place.begin, place.count).normal_();
  const Tensor whole = block_squares(gradients.flat());
  ASSERT_GT(whole.numel(), 3);
  EXPECT_NEAR(whole.sum().item<double>(), gradients.flat().to(at::kDouble).square().sum().item<double>(), 1e-6);
  for (const int ranks : {1, 2, 3, 100}) {
    std::map<std::string, int64_t> counts;
    std::vector<Tensor> squares;
    const std::vector<Bucket> buckets = buckets_of(gradients.flat().numel(), 4 * kBlock, ranks);
    EXPECT_EQ(stretches_of(buckets, 0).size(), ranks == 1 ? 1 : buckets.size()) << "side by side is one";
    for (const Bucket& bucket : buckets) {
      for (const Stretch& own : bucket.of_R) {
        for (const Piece& piece : pieces_of(gradients, {&own, 1})) {
          EXPECT_EQ(counts[piece.name], piece.first) << piece.name;
          counts[piece.name] += piece.count;
        }
        squares.push_back(block_squares(gradients.flat().narrow(0, own.begin, own.end - own.begin)));
      }
    }
    int64_t owned = 0;
    for (int rank = 0; rank < ranks; ++rank) owned += count_of(stretches_of(buckets, rank));
    EXPECT_EQ(owned, gradients.flat().numel());
    for (const GradientSums::Place& place : gradients.places()) EXPECT_EQ(counts[place.name], place.count);
    EXPECT_TRUE(at::equal(at::cat(squares), whole)) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace ingrain::train
