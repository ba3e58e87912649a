// What every kind of mixer must be, the gradients of families that differ in what a layer does, and what models with
// recurrent mixers (src/model/mixers) are beyond the properties of reading, writing and memory files, which their own
// tests hold them to.
#include "model/mixers/mixer.h"

#include "same_memory.h"
#include "scratch.h"
#include "session/session.h"
#include "store/model_files.h"
#include "ttt/outer_gradient.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

namespace ingrain::ttt {
namespace {

using test::max_difference;
using test::random_tokens;
using test::tiny_model;
using test::TinyShape;
using ::testing::HasSubstr;

/// Scores of whole texts go through chunks; token by token through the recurrence.
TEST(RecurrentMixers, in_chunks_and_as_a_recurrence_is_one_model) {
  for (const auto& [type, most] : {std::pair(at::kFloat, 1e-4), {at::kDouble, 1e-10}})
    for (const std::string& mixer : test::recurrent_mixers())
      for (const TinyShape& shape : {TinyShape{.suffix = 0, .mixers = {{mixer, 1}}},
                                     TinyShape{.layers = 4, .suffix = 1, .chunk = 96, .mixers = {{mixer, 2}}}}) {
        SCOPED_TRACE(mixer);
        const Network model = tiny_model(shape, type);
        const Tensor tokens = random_tokens(model.config, 2, 136);
        Memory whole = empty_memory(model, 2), parts = empty_memory(model, 2);
        const Tensor scores = read(model, whole, tokens).nll_Bn;
        std::vector<Tensor> one_by_one;
        for (int64_t t = 0; t < 136; ++t) one_by_one.push_back(read(model, parts, tokens.narrow(1, t, 1)).nll_Bn);
        EXPECT_LT(max_difference(scores.narrow(1, 1, 135), at::cat(one_by_one, 1).narrow(1, 1, 135)), most);
        test::expect_same_memory(model, whole, parts, most);
      }
}

double changes_last_logits(const TinyShape& shape) {
  const Network model = tiny_model(shape);
  Tensor tokens = random_tokens(model.config, 1, 40);
  const auto last_logits = [&] {
    Memory memory = empty_memory(model);
    read(model, memory, tokens);
    return next_logits(model, memory);
  };
  const Tensor before = last_logits();
  tokens[0][3] = (tokens[0][3].item<int64_t>() + 5) % 37;
  return max_difference(before, last_logits());
}

/// What was read long ago matters: a state is no window.
TEST(RecurrentMixers, remember_what_no_window_holds) {
  EXPECT_EQ(changes_last_logits({.suffix = 0, .window = 2}), 0);
  for (const std::string& mixer : test::recurrent_mixers())
    EXPECT_GT(changes_last_logits({.suffix = 0, .window = 2, .mixers = {{mixer, 2}}}), 1e-9) << mixer;
}

TEST(RecurrentMixers, writing_is_captured_on_the_cpu) {
  for (const std::string& mixer : test::recurrent_mixers()) {
    const Network model = tiny_model({.layers = 4, .suffix = 3, .mixers = {{mixer, 2}}}, at::kFloat);
    for (const int64_t batch : {1, 2}) {
      Memory memory = empty_memory(model, batch);
      const Tensor tokens = random_tokens(model.config, batch, 12);
      read(model, memory, tokens.narrow(1, 0, 6));
      session::Session session(model, std::move(memory));
      for (int64_t t = 6; t < 12; ++t) session.write(tokens.narrow(1, t, 1));
      ASSERT_NE(session.graph(), nullptr);
      EXPECT_TRUE(session.graph()->captured()) << mixer << ": " << session.graph()->refusal();
    }
  }
}

struct OuterCase {
  TinyShape shape;
  bool meta;  // or standard
};

class MixerGradient : public ::testing::TestWithParam<OuterCase> {};

/// Of models with other mixers and of those that are like a family's: parameter by parameter along a random direction
/// in all layers that have it, so that none hides behind another.
TEST_P(MixerGradient, equals_finite_differences) {
  const auto& [shape, meta] = GetParam();
  const Network model = tiny_model(shape);
  const ModelConfig& c = model.config;
  const Tensor tokens = random_tokens(c, 2, 3 * c.chunk + 1);
  const auto outer = meta ? meta_gradient : standard_gradient;
  GradientSums gradients(c, model.weights);
  outer(c, gradients, tokens, {});
  Weights sums = gradients.sums();
  at::manual_seed(13);
  struct OfLayer {
    const Parameter* parameter;
    int64_t layer;
    Tensor direction;
  };
  struct Along {
    std::vector<OfLayer> layers;
    double slope = 0;
  };
  std::map<std::string, Along> by_name;
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) {
    const Tensor& sum = p.member(sums, layer);
    const Tensor direction = at::randn_like(sum) / std::sqrt(static_cast<double>(sum.numel()));
    Along& along = by_name[std::string(p.name)];
    along.layers.push_back({&p, layer, direction});
    along.slope += (sum * direction).sum().item<double>();
  });
  for (const auto& [name, along] : by_name) {
    const auto loss_at = [&](double by) {
      Weights w = model.weights;
      for (const auto& [parameter, layer, direction] : along.layers) {
        Tensor& x = parameter->member(w, layer);
        x = x + direction * by;
      }
      const GradientSums none(c, w, [](const std::string&) { return false; });
      return outer(c, none, tokens, {}).mean();
    };
    const auto central = [&](double h) { return (loss_at(h) - loss_at(-h)) / (2 * h); };
    const double extrapolated = (4 * central(3e-5) - central(6e-5)) / 3;
    EXPECT_NEAR(extrapolated, along.slope, 1e-8 + 1e-6 * std::abs(along.slope)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MixerGradient,
    ::testing::Values(OuterCase{{.layers = 6, .suffix = 0, .window = 5, .full = 6}, false},
                      OuterCase{{.layers = 2, .suffix = 1, .output_gate = true}, true},
                      OuterCase{{.layers = 2, .suffix = 1, .output_gate = true}, false},
                      OuterCase{{.layers = 4, .suffix = 1, .without_mlp = 2}, true},
                      OuterCase{{.layers = 4, .suffix = 1, .without_mlp = 2}, false},
                      OuterCase{{.layers = 4, .suffix = 3, .mixers = {{"gated_delta_net", 2}}}, false},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::gemma3}, true},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::gemma3}, false},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::olmo3}, true},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::olmo3}, false},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::granite_swa}, true},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::granite_swa}, false},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::phi4_mini}, true},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::phi4_mini}, false},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::ministral3}, true},
                      OuterCase{{.layers = 4, .suffix = 3, .like = test::Like::ministral3}, false},
                      OuterCase{{.layers = 3, .suffix = 2, .mixers = {{"gated_delta_net", 2}}}, true},
                      OuterCase{{.layers = 2, .suffix = 1, .chunk = 12, .mixers = {{"gated_delta_net", 1}}}, true}));

std::vector<OuterCase> of_recurrent_mixers() {
  std::vector<OuterCase> out;
  for (const std::string& mixer : test::recurrent_mixers()) {
    out.push_back({{.mixers = {{mixer, 1}}}, false});
    out.push_back({{.suffix = 0, .chunk = 16, .mixers = {{mixer, 1}}}, false});
    out.push_back({{.layers = 2, .suffix = 1, .chunk = 4, .mixers = {{mixer, 2}}}, true});
  }
  return out;
}
INSTANTIATE_TEST_SUITE_P(RecurrentMixers, MixerGradient, ::testing::ValuesIn(of_recurrent_mixers()));

TEST(MetaTraining, through_recurrent_suffix_blocks_after_the_first_is_refused_by_name) {
  for (const std::string& mixer : test::recurrent_mixers()) {
    const Network model = tiny_model({.mixers = {{mixer, 3}}});
    GradientSums gradients(model.config, model.weights);
    EXPECT_THAT(error_of([&] { meta_gradient(model.config, gradients, random_tokens(model.config, 1, 17)); }),
                AllOf(HasSubstr("block 2 has a recurrent mixer"), HasSubstr("train.mode = \"standard\"")));
  }
}

using MixerFiles = ScratchTest;

TEST_F(MixerFiles, a_model_with_recurrent_mixers_is_saved_and_loaded_with_the_same_bits) {
  const Network model =
      tiny_model({.layers = 4, .suffix = 1, .mixers = {{"gated_delta_net", 2}, {"mamba2", 4}}, .full = 3}, at::kFloat);
  save_model(dir_ / "model", model.config, model.weights, at::kFloat);
  const Network loaded = load_model(dir_ / "model", at::kFloat);
  EXPECT_EQ(loaded.config.layers, model.config.layers);
  const auto a = parameter_list(model.config, model.weights), b = parameter_list(loaded.config, loaded.weights);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i])) << "parameter " << i;
}

TEST(Mixers, have_parameters_in_their_own_layers_alone) {
  const ModelConfig c = test::tiny_config({.layers = 4, .mixers = {{"gated_delta_net", 2}, {"mamba2", 3}}});
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) {
    for (const LayerMixer* mixer : all_mixers())
      for (const Parameter& row : mixer->parameters())
        EXPECT_TRUE(row.name != p.name || &mixer_of(c, layer) == mixer) << full_name(p, layer);
  });
}

}  // namespace
}  // namespace ingrain::ttt
