// A model made without fast weights gets them, as a folder of its own or as an adapter, and trains only them.
#include "store/retrofit.h"

#include "base/error.h"
#include "model/block.h"
#include "model/mixers/attention/weights.h"
#include "model/rope.h"
#include "ops/linear/linear.h"
#include "ops/rms_norm/rms_norm.h"
#include "store/model_files.h"
#include "store/stored_weights.h"
#include "scratch.h"
#include "tiny_model.h"
#include "train/run.h"
#include "ttt/read.h"

#include <gmock/gmock.h>

namespace ingrain {
namespace {

namespace fs = std::filesystem;
using test::max_difference;
using test::random_tokens;
using ::testing::HasSubstr;

/// A model of another family: full attention, no q/k-norm, no post-norms.
Network plain_base(at::ScalarType type = at::kDouble) {
  Network base{test::tiny_config({.layers = 4, .suffix = 0, .kv_heads = 1, .post_norm = false}), {}, "base"};
  base.config.window = ModelConfig::kFullAttention;
  base.config.qk_norm = false;
  base.weights = convert(base.config, initial_weights(base.config, 4), type);
  return base;
}

RetrofitOptions small_options(FastStart start = FastStart::copied) {
  RetrofitOptions o;
  o.window = 12, o.chunk = 8, o.suffix = 2, o.fast_mlp = 10, o.start = start;
  return o;
}

Network retrofitted(const Network& base, const RetrofitOptions& options) {
  Network out{retrofit_config(base.config, options, "base"), {}, "retrofitted"};
  out.weights = convert(out.config, retrofit_weights(base, out.config, options), base.weights.type());
  return out;
}

Tensor scores(const Network& model, const Tensor& tokens, bool learn) {
  ttt::Memory memory = ttt::empty_memory(model);
  ttt::ReadOptions options;
  options.learn = learn;
  return ttt::read(model, memory, tokens, options).nll_Bn.narrow(1, 1, tokens.size(1) - 1);
}

class Retrofit : public ::testing::TestWithParam<FastStart> {};

TEST_P(Retrofit, outputs_are_the_bases_while_the_context_fits_the_window_until_the_first_inner_step) {
  const Network base = plain_base(), model = retrofitted(base, small_options(GetParam()));
  Tensor tokens = random_tokens(base.config, 1, 20);
  tokens[0][0] = base.config.bos_id;
  const Tensor expected = scores(base, tokens, false), off = scores(model, tokens, false),
               on = scores(model, tokens, true);
  // Entry i scores token i + 1, from i + 1 tokens of context.
  EXPECT_LT(max_difference(off.narrow(1, 0, 11), expected.narrow(1, 0, 11)), 1e-12);
  EXPECT_LT(max_difference(off.narrow(1, 11, 1), expected.narrow(1, 11, 1)), 1e-6) << "the sink, made in fp32";
  EXPECT_GT(max_difference(off.narrow(1, 12, 7), expected.narrow(1, 12, 7)), 1e-4) << "the window has an effect";
  EXPECT_LT(max_difference(on.narrow(1, 0, 8), expected.narrow(1, 0, 8)), 1e-12);
  EXPECT_GT(max_difference(on.narrow(1, 8, 4), expected.narrow(1, 8, 4)), 1e-6) << "the first inner step has an effect";
}

TEST_P(Retrofit, the_first_inner_step_moves_w2_and_lowers_the_loss_of_what_it_read) {
  const Network model = retrofitted(plain_base(), small_options(GetParam()));
  const Tensor chunk = random_tokens(model.config, 1, 9), tokens = at::cat({chunk, chunk}, 1);
  ttt::Memory memory = ttt::empty_memory(model);
  ttt::ReadOptions options;
  std::vector<Mlp> g_S;
  options.on_step = [&](const ttt::StepReport&, const ttt::Memory&, const std::vector<Mlp>& g) {
    if (g_S.empty())
      for (const Mlp& mlp : g) g_S.push_back({mlp.w13_FD[0].clone(), mlp.w2_DF[0].clone()});
  };
  ttt::read(model, memory, chunk, options);
  ASSERT_EQ(g_S.size(), 2u);
  for (const Mlp& g : g_S) {
    EXPECT_GT(g.w2_DF.norm().item<double>(), 1e-3);
    EXPECT_LT(g.w2_DF.norm().item<double>(), 1e3);
    EXPECT_EQ(g.w13_FD.norm().item<double>(), 0) << "behind a zero w2";
  }
  Network learned = model;
  for (size_t s = 0; s < g_S.size(); ++s)
    learned.weights.fast_S[s].w2_DF = model.weights.fast_S[s].w2_DF - 1e-3 * g_S[s].w2_DF;
  EXPECT_LT(scores(learned, chunk, false).mean().item<double>(), scores(model, chunk, false).mean().item<double>());
}

INSTANTIATE_TEST_SUITE_P(Starts, Retrofit, ::testing::Values(FastStart::copied, FastStart::random),
                         [](const auto& info) { return info.param == FastStart::copied ? "copied" : "random"; });

TEST(RetrofitConfig, by_itself_half_of_the_blocks_learn_by_muon_at_the_rate_of_the_optimizer) {
  RetrofitOptions o;
  o.window = 12;
  const ModelConfig base = plain_base().config, made = retrofit_config(base, o, "models/x");
  EXPECT_EQ(made.suffix_len, base.num_layers / 2);
  EXPECT_EQ(made.fast_mlp_size, base.mlp_size / 12);
  EXPECT_EQ(made.inner.optimizer, InnerOptimizer::muon);
  EXPECT_EQ(made.inner_lr, 0.06);
  o.inner.optimizer = InnerOptimizer::sgd;
  EXPECT_EQ(retrofit_config(base, o, "models/x").inner_lr, 1);
  o.inner_lr = 0.5;
  EXPECT_EQ(retrofit_config(base, o, "models/x").inner_lr, 0.5);
}

TEST(RetrofitConfig, what_does_not_fit_is_an_error_that_names_option_and_reason) {
  const ModelConfig base = plain_base().config;
  const auto refusal = [&](auto change) {
    RetrofitOptions o = small_options();
    change(o);
    return error_of([&] { retrofit_config(base, o, "models/x"); });
  };
  EXPECT_THAT(refusal([](auto& o) { o.window = 0; }), HasSubstr("window is 0"));
  EXPECT_THAT(refusal([](auto& o) { o.chunk = -3; }), HasSubstr("chunk is -3"));
  EXPECT_THAT(refusal([](auto& o) { o.suffix = 5; }), HasSubstr("suffix is 5; models/x has 4 blocks"));
  EXPECT_THAT(refusal([](auto& o) { o.suffix = 0; }), HasSubstr("suffix is 0"));
  EXPECT_THAT(refusal([](auto& o) { o.fast_mlp = 0; }), HasSubstr("fast_mlp is 0"));
  EXPECT_THAT(refusal([](auto& o) { o.fast_mlp = 25; }), HasSubstr("24 wide; choose less, or start at random"));
  EXPECT_THAT(refusal([](auto& o) { o.fast_mlp = int64_t{1} << 40, o.start = FastStart::random; }),
              HasSubstr("fast_intermediate_size"));
  EXPECT_THAT(refusal([](auto& o) { o.inner_lr = 0; }), HasSubstr("inner_lr is 0"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.momentum = 1; }), HasSubstr("inner_momentum is 1"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.decay = -0.5; }), HasSubstr("inner_decay is -0.5"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.steps = 0; }), HasSubstr("'inner_steps' is 0"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.w13_factor = -1; }), HasSubstr("'inner_w13_factor' is -1"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.step_delay = -1; }), HasSubstr("'inner_step_delay' is -1"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.step_delay = o.chunk; }), HasSubstr("below 'chunk_size'"));
  EXPECT_THAT(refusal([](auto& o) { o.inner.step_delay = 1, o.inner.steps = 2; }), HasSubstr("'inner_steps' 2"));
  EXPECT_THAT(refusal([](auto& o) { o.layer_rates = {1, 1, 1, 1, 1}; }), HasSubstr("layer_rates holds 5 numbers"));
  ModelConfig narrow = base;
  narrow.window = 8;
  EXPECT_THAT(error_of([&] { retrofit_config(narrow, small_options(), "models/x"); }),
              HasSubstr("made for a window of 8"));
  // Layers that see less already stay as they are.
  ModelConfig mixed = base;
  mixed.each_layer([](LayerSpec& layer, int64_t i) { layer.window = i % 2 ? LayerSpec::kFullAttention : 8; });
  const ModelConfig narrowed = retrofit_config(mixed, small_options(), "models/x");
  for (int64_t i = 0; i < narrowed.num_layers; ++i) {
    EXPECT_EQ(narrowed.layer(i).window, i % 2 ? 12 : 8);
    EXPECT_EQ(narrowed.layer(i).sink, i % 2 == 1) << "a window that was made for the model lost no first token";
  }
  RetrofitOptions keep = small_options();
  keep.keep_full = 1;
  const ModelConfig kept = retrofit_config(mixed, keep, "models/x");
  int64_t full = 0;
  for (int64_t i = 0; i < kept.num_layers; ++i) full += kept.layer(i).full_attention() ? 1 : 0;
  EXPECT_EQ(full, 1);
  keep.keep_full = 100;
  EXPECT_THAT(error_of([&] { retrofit_config(mixed, keep, "models/x"); }), HasSubstr("keep_full is 100"));
  const ModelConfig once = retrofit_config(base, small_options(), "models/x");
  EXPECT_THAT(error_of([&] { retrofit_config(once, small_options(), "models/x"); }),
              HasSubstr("has fast MLPs in its last 2 blocks already"));
}

/// Scores of `base` itself, in which every query sees window - 1 keys and the first one, always as far back as the
/// window reaches.
Tensor scores_with_sink(const Network& base, const Tensor& tokens, int64_t window) {
  const ModelConfig& c = base.config;
  const int64_t T = tokens.size(1), H = c.num_heads, G = c.num_kv_heads, d = c.head_dim;
  const Tensor position = at::arange(T, at::kLong);
  const auto frequency = rope_frequencies(c);
  const auto table = [&](const Tensor& at) { return rope_at(c, at, frequency, at::kDouble); };
  Tensor h = base.weights.embedding_VD.index_select(0, tokens[0]).view({1, 1, T, -1});
  for (int64_t i = 0; i < c.num_layers; ++i) {
    const BlockWeights& block = base.weights.blocks[static_cast<size_t>(i)];
    const auto attend = [&](int64_t, const ops::Heads& now) {
      const auto wide = [&](const Tensor& x) { return x[0][0].repeat_interleave(H / G, 1); };  // [T, H, d]
      const Tensor x0 = ops::rms_norm(h, block.attn_norm_D, c.rms_eps).narrow(2, 0, 1);
      const Tensor k0 =
          ops::linear(x0, block.mixer.of<AttentionWeights>().wqkv_CD).flatten().narrow(0, H * d, G * d).view({G, d});
      // The first key as query p meets it: at position p - (window - 1).
      const Tensor qkv =
          at::cat(
              {at::zeros({T, H * d}, at::kDouble), k0.flatten().expand({T, -1}), at::zeros({T, G * d}, at::kDouble)}, 1)
              .view({1, 1, T, -1});
      const Tensor first =
          wide(ops::split_heads(qkv, {}, {}, table(position - (window - 1)).table(i), {H, G, d}, 0).k_PBTGd);
      const Tensor q = now.q_PBTHd[0][0], k = wide(now.k_PBTGd), v = wide(now.v_PBTGd);
      const Tensor age = position.unsqueeze(1) - position;
      const Tensor hidden = age.lt(0).logical_or(age.ge(window - 1)), gone = position.lt(window - 1).unsqueeze(0);
      const Tensor s = at::cat({at::einsum("qhd,khd->hqk", {q, k}).masked_fill(hidden, -INFINITY),
                                (q * first).sum(-1).t().masked_fill(gone, -INFINITY).unsqueeze(-1)},
                               -1);
      const Tensor p = (s / std::sqrt(static_cast<double>(d))).softmax(-1);
      return at::einsum("hqk,khd->qhd", {p, at::cat({v, v.narrow(0, 0, 1)})}).view({1, 1, T, H, d});
    };
    h = mlp_step(c, block, mixer_step(c, block, h, {attend}, table(position), {}, i), {}, i);
  }
  const Tensor logits = ops::rms_norm(h, base.weights.final_norm_D, c.rms_eps)[0][0].matmul(base.weights.head().t());
  return logits.log_softmax(-1).gather(1, tokens[0].unsqueeze(1).roll(-1)).neg().narrow(0, 0, T - 1).t();
}

TEST(RetrofitSink, is_the_first_tokens_key_at_the_windows_far_end) {
  const Network base = plain_base(), model = retrofitted(base, small_options());
  Tensor tokens = random_tokens(base.config, 1, 40);
  tokens[0][0] = base.config.bos_id;
  EXPECT_LT(max_difference(scores(model, tokens, false), scores_with_sink(base, tokens, 12)), 1e-5) << "sinks are fp32";
  RetrofitOptions without = small_options();
  without.sink = false;
  EXPECT_GT(max_difference(scores(retrofitted(base, without), tokens, false), scores(model, tokens, false)), 1e-3);
}

TEST(RetrofitSink, is_kept_where_queries_have_neither_norms_nor_biases) {
  ModelConfig c = plain_base().config;
  EXPECT_TRUE(can_keep_sink(c, 0));
  c.qk_norm = true;
  EXPECT_FALSE(can_keep_sink(c, 0));
  EXPECT_FALSE(retrofit_config(c, small_options(), "base").sink);
  c.qk_norm = false, c.bos_id = -1;
  EXPECT_FALSE(can_keep_sink(c, 0));
}

class Adapter : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    base_ = plain_base(at::kFloat);
    save_model(dir_ / "base", base_.config, base_.weights, at::kFloat);
    whole_ = retrofitted(base_, small_options());
    save_adapter(dir_ / "adapter", whole_.config, whole_.weights, dir_ / "base", at::kFloat);
  }
  std::string refusal(const fs::path& folder) {
    return error_of([&] { load_model(folder, at::kFloat); });
  }

  Network base_, whole_;
};

void expect_same_weights(const Network& a, const Network& b) {
  const auto x = parameter_list(a.config, a.weights), y = parameter_list(b.config, b.weights);
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_TRUE(at::equal(x[i], y[i])) << "parameter " << i;
}

TEST_F(Adapter, with_its_base_is_the_whole_model_and_holds_only_what_is_new) {
  expect_same_weights(load_model(dir_ / "adapter", at::kFloat), whole_);
  const formats::SafetensorsFile file(dir_ / "adapter" / "adapter.safetensors");
  // Norm, gate, up and down of two blocks, the rates, and the sinks' scores and values.
  EXPECT_EQ(file.tensors().size(), 2 * 4 + 1 + 4 * 2u);
  for (const auto& [name, entry] : file.tensors())
    EXPECT_TRUE(contains(name, "fast_mlp") || name == "model.inner_rate" || contains(name, ".sink.")) << name;
  fs::create_directories(dir_ / "moved");
  fs::rename(dir_ / "base", dir_ / "moved" / "base");
  fs::rename(dir_ / "adapter", dir_ / "moved" / "adapter");
  expect_same_weights(load_model(dir_ / "moved" / "adapter", at::kFloat), whole_);
}

TEST_F(Adapter, a_changed_tensor_takes_the_place_of_the_bases) {
  whole_.weights.final_norm_D = whole_.weights.final_norm_D + 1;
  save_adapter(dir_ / "other", whole_.config, whole_.weights, dir_ / "base", at::kFloat);
  const Network other = load_model(dir_ / "other", at::kFloat);
  expect_same_weights(other, whole_);
  EXPECT_NE(other.fingerprint, load_model(dir_ / "adapter", at::kFloat).fingerprint);
}

TEST_F(Adapter, another_base_is_refused_with_both_fingerprints) {
  const std::string made_for = load_model(dir_ / "base", at::kFloat).fingerprint;
  save_model(dir_ / "base", base_.config, initial_weights(base_.config, 5), at::kFloat);
  const std::string found = load_model(dir_ / "base", at::kFloat).fingerprint;
  EXPECT_THAT(refusal(dir_ / "adapter"),
              ::testing::AllOf(HasSubstr(made_for), HasSubstr(found), HasSubstr("base.json")));
}

TEST_F(Adapter, a_base_that_cannot_be_used_is_an_error_with_a_remedy) {
  const std::string refers = read_file(dir_ / "adapter" / "base.json", 1000);
  fs::create_directories(dir_ / "second");
  write_file(dir_ / "second" / "adapter.safetensors", "");
  for (const auto& [json, part] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "'model' is missing"},
           {"[1]", "base.json must be an object"},
           {R"({"model": "../base", "fingerprint": 7})", "'fingerprint' must be a string, not number"},
           {R"({"model": "../absent", "fingerprint": "0123"})", "put the model 0123 there"},
           {R"({"model": "../second", "fingerprint": "0123"})", "is itself an adapter"}}) {
    write_file(dir_ / "adapter" / "base.json", json);
    EXPECT_THAT(refusal(dir_ / "adapter"), HasSubstr(part)) << json;
  }
  fs::remove(dir_ / "adapter" / "base.json");
  EXPECT_THAT(refusal(dir_ / "adapter"), HasSubstr("base.json"));
  write_file(dir_ / "adapter" / "base.json", refers);
  EXPECT_EQ(refusal(dir_ / "adapter"), "");
  EXPECT_THAT(
      error_of([&] { save_adapter(dir_ / "third", whole_.config, whole_.weights, dir_ / "adapter", at::kFloat); }),
      HasSubstr("is itself an adapter"));
}

constexpr const char* kRun = R"([model]
folder = "adapter"
[data]
train = "tokens.bin"
sequence_length = 32
[train]
steps = 8
batch = 2
lr = 0.01
parameters = "fast"
[checkpoint]
folder = "run"
)";

class TrainingAnAdapter : public Adapter {
 protected:
  void SetUp() override {
    Adapter::SetUp();
    const Tensor tokens = random_tokens(base_.config, 1, 3000).to(at::kShort);
    put(dir_ / "tokens.bin", {static_cast<const char*>(tokens.data_ptr()), tokens.nbytes()});
    put(dir_ / "run.toml", kRun);
  }
  train::RunConfig config(std::vector<std::string> overrides = {}, const std::string& folder = "run") {
    overrides.push_back("checkpoint.folder=" + (dir_ / folder).string());
    return train::load_run_config(dir_ / "run.toml", overrides);
  }
};

TEST_F(TrainingAnAdapter, moves_the_fast_mlps_norms_and_rates_and_gives_an_adapter_of_the_same_base) {
  const train::RunConfig run = config();
  EXPECT_EQ(train::run_training(run, {}), train::RunEnd::finished);
  const Network trained = load_model(run.checkpoint.model, at::kFloat);
  Weights before = whole_.weights, after = trained.weights;
  std::map<std::string, Tensor> was;
  visit_parameters(whole_.config, before, [&](const std::string& name, Tensor& x, ParameterKind) { was[name] = x; });
  visit_parameters(trained.config, after, [&](const std::string& name, Tensor& x, ParameterKind) {
    EXPECT_EQ(at::equal(was.at(name), x), !contains(name, ".fast") && name != "inner_rate") << name;
  });
  EXPECT_FALSE(fs::exists(run.checkpoint.model / "model.safetensors"));

  const auto checkpoint = train::list_checkpoints(run.checkpoint.folder).at(0);
  EXPECT_EQ(formats::SafetensorsFile(checkpoint).tensors().size(), 3 * (2 * 3 + 1u))
      << "weights and two moments of what is trained";
  train::export_model(checkpoint, dir_ / "exported", at::kFloat);
  EXPECT_EQ(load_model(dir_ / "exported", at::kFloat).fingerprint, trained.fingerprint);
}

TEST_F(TrainingAnAdapter, eight_steps_are_three_a_resume_and_five_bit_for_bit) {
  train::Trainer whole(config({}, "whole"));
  while (!whole.done()) whole.advance();
  const train::RunConfig parts = config();
  fs::create_directories(parts.checkpoint.folder);
  {
    train::Trainer first(parts);
    while (first.counters().step < 3) first.advance();
    train::save_checkpoint(first, 0);
  }
  train::Trainer second(parts);
  train::resume_newest(second);
  while (!second.done()) second.advance();
  const auto a = whole.state(), b = second.state();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i].x_n, b[i].x_n)) << a[i].name;
}

TEST_F(TrainingAnAdapter, a_checkpoint_is_refused_by_a_run_that_begins_with_another_model) {
  train::run_training(config(), {});
  whole_.weights.final_norm_D = whole_.weights.final_norm_D + 1;
  save_adapter(dir_ / "other", whole_.config, whole_.weights, dir_ / "base", at::kFloat);
  const std::string here = load_model(dir_ / "other", at::kFloat).fingerprint,
                    there = load_model(dir_ / "adapter", at::kFloat).fingerprint;
  const auto resume = [&] {
    train::run_training(config({"model.folder=" + (dir_ / "other").string(), "train.steps=9"}),
                        {.resume = true, .interrupted = {}, .say = {}});
  };
  EXPECT_THAT(error_of(resume), ::testing::AllOf(HasSubstr(here), HasSubstr(there)));
}

TEST_F(TrainingAnAdapter, settings_that_contradict_are_refused) {
  const auto refusal = [&](std::vector<std::string> overrides) {
    return error_of([&] { config(std::move(overrides)); });
  };
  EXPECT_THAT(refusal({"train.train_only=final_norm"}), HasSubstr("keep one of them"));
  EXPECT_THAT(refusal({"train.parameters=fats"}), HasSubstr("all, fast"));
  EXPECT_THAT(refusal({"model.folder=" + (dir_ / "base").string()}),
              HasSubstr("no fast weights; 'ingrain retrofit' gives it some"));
  EXPECT_THAT(refusal({"model.learned_inner_rates=false"}), HasSubstr("has other weights"));
  EXPECT_EQ(refusal({"train.parameters=all"}), "");
}

}  // namespace
}  // namespace ingrain
