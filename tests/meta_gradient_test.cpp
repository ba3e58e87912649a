// The tangent method against reverse over reverse and finite differences, in fp64 (docs/mathematics.md, "Learning to
// read").
#include "reverse_over_reverse.h"
#include "base/error.h"
#include "ops/autograd.h"
#include "tiny_model.h"
#include "ttt/outer_gradient.h"
#include "ttt/segments.h"

#include <gtest/gtest.h>

#include <set>

namespace ingrain::ttt {
namespace {

using test::plain_outer_loss;
using test::random_tokens;
using test::tiny_model;
using test::TinyShape;

struct GradientCase {
  TinyShape shape{};
  int64_t batch = 1, chunks = 4;
  int64_t keep_bytes = int64_t{1} << 30;
  int64_t bos_run = 0;  // so many tokens of the first sequence are bos: masks that differ, whole chunks masked
};

void PrintTo(const GradientCase& c, std::ostream* out) {
  *out << "batch " << c.batch << " layers " << c.shape.layers << " S " << c.shape.suffix << " window " << c.shape.window
       << " chunk " << c.shape.chunk << " clip " << c.shape.inner_clip << " bos " << c.bos_run;
  const InnerRule& rule = c.shape.inner;
  *out << (rule.optimizer == InnerOptimizer::muon ? " Muon" : "") << " momentum " << rule.momentum << " decay "
       << rule.decay << " w13 x " << rule.w13_factor << " steps " << rule.steps << " delay " << rule.step_delay;
}

Tensor tokens_of(const GradientCase& p, const ModelConfig& c) {
  Tensor tokens = random_tokens(c, p.batch, p.chunks * c.chunk + 1);
  if (p.bos_run > 0) tokens[0].narrow(0, 3, p.bos_run).fill_(c.bos_id);
  return tokens;
}

class MetaGradient : public ::testing::TestWithParam<GradientCase> {};

TEST_P(MetaGradient, equals_reverse_over_reverse_and_finite_differences) {
  const GradientCase& p = GetParam();
  const Network model = tiny_model(p.shape);
  const ModelConfig& c = model.config;
  const Tensor tokens = tokens_of(p, c);
  for (const bool meta : {true, false}) {
    if (!meta && !(p.shape.inner == InnerRule{})) continue;  // standard mode makes no inner step, by whatever rule
    GradientSums gradients(c, model.weights);
    GradientOptions options;
    options.keep_bytes = p.keep_bytes;
    options.rate_multiplier = 0.8;
    const OuterLoss loss = (meta ? meta_gradient : standard_gradient)(c, gradients, tokens, options);

    const Tensor plain = plain_outer_loss(c, gradients.leaves(), tokens, meta, 0.8);
    EXPECT_NEAR(loss.mean(), plain.item<double>(), 1e-12);
    const auto leaves = parameter_list(c, gradients.leaves()), sums = parameter_list(c, gradients.sums());
    const auto expected = ops::gradients({plain}, leaves, {}, {.allow_unused = true});
    for (size_t i = 0; i < leaves.size(); ++i) {
      const Tensor e = expected[i].defined() ? expected[i] : at::zeros_like(leaves[i]);
      const double scale = std::max(1e-3, e.abs().max().item<double>());
      EXPECT_LT((sums[i] - e).abs().max().item<double>() / scale, 1e-10)
          << "parameter " << i << (meta ? ", meta" : ", standard");
    }

    // Along one random direction of all parameters at once.
    at::manual_seed(11);
    double slope = 0;
    constexpr double h = 1e-5;
    std::vector<Tensor> directions;
    for (const Tensor& sum : sums) {
      directions.push_back(at::randn_like(sum));
      slope += (directions.back() * sum).sum().item<double>();
    }
    const auto loss_at = [&](double by) {
      Weights w = model.weights;
      size_t i = 0;
      visit_parameters(c, w, [&](const std::string&, Tensor& x, ParameterKind) {
        x = (x.detach() + directions[i++] * by).requires_grad_();
      });
      return plain_outer_loss(c, w, tokens, meta, 0.8).item<double>();
    };
    const auto central = [&](double h) { return (loss_at(h) - loss_at(-h)) / (2 * h); };
    const double extrapolated = (4 * central(h) - central(2 * h)) / 3;  // error of order h^4
    EXPECT_NEAR(extrapolated, slope, 1e-6 * std::max(1.0, std::abs(slope)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MetaGradient,
    ::testing::Values(
        GradientCase{}, GradientCase{.batch = 3}, GradientCase{.shape = {.suffix = 1}},
        GradientCase{.shape = {.suffix = 3, .window = 5}, .batch = 2}, GradientCase{.shape = {.window = 1}},
        GradientCase{.shape = {.window = 37, .chunk = 24}, .batch = 2, .chunks = 3},
        GradientCase{.shape = {.window = 10, .chunk = 32}, .chunks = 2},
        GradientCase{.shape = {.window = 1000, .inner_clip = 100}, .batch = 2},
        GradientCase{.shape = {.kv_heads = 1, .tie = false, .post_norm = false, .learned_rates = true}, .batch = 2},
        GradientCase{.shape = {.layers = 4, .suffix = 3, .unrotated = 2}, .batch = 2},
        GradientCase{.shape = {.layers = 4, .suffix = 3, .window = 5, .full = 2}, .batch = 2},
        GradientCase{.shape = {.layers = 4, .suffix = 3, .window = 11, .full = 3}},
        GradientCase{.shape = {.layers = 4, .suffix = 3, .window = 5, .kv_heads = 1, .sink = true}, .batch = 2},
        GradientCase{.shape = {.window = 12, .learned_rates = true, .sink = true}},
        GradientCase{.batch = 2, .bos_run = 5}, GradientCase{.batch = 2, .bos_run = 20}, GradientCase{.bos_run = 30},
        GradientCase{.batch = 2, .chunks = 7, .keep_bytes = 1}, GradientCase{.chunks = 9, .keep_bytes = 1},
        GradientCase{.chunks = 1}, GradientCase{.shape = {.learned_rates = true, .inner_clip = 0.1}, .chunks = 6}));

std::vector<GradientCase> cases_of_other_rules() {
  std::vector<GradientCase> out;
  for (const InnerRule& rule : test::other_inner_rules()) {
    const TinyShape shape{.learned_rates = true, .inner_lr = test::rate_of(rule), .inner = rule};
    out.push_back({.shape = shape, .batch = 2});
    out.push_back({.shape = shape, .batch = 2, .bos_run = 20});     // a chunk of the first one makes no step
    out.push_back({.shape = shape, .chunks = 6, .keep_bytes = 1});  // computed again
    out.push_back(
        {.shape = {.suffix = 3, .window = 5, .inner_lr = 0.2 * test::rate_of(rule), .inner_clip = 100, .inner = rule}});
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(OtherRules, MetaGradient, ::testing::ValuesIn(cases_of_other_rules()));

std::vector<GradientCase> cases_of_delayed_steps() {
  std::vector<GradientCase> out;
  const std::vector<int64_t> delays{1, 3, 7};
  for (const int64_t d : delays) {
    out.push_back({.shape = {.inner = {.step_delay = d}}, .batch = 2, .chunks = 5});
    out.push_back({.shape = {.learned_rates = true, .inner_clip = 0.1, .inner = {.step_delay = d}}, .bos_run = 20});
    out.push_back({.shape = {.suffix = 3, .window = 5, .inner = {.step_delay = d}}, .chunks = 9, .keep_bytes = 1});
  }
  for (InnerRule rule : test::other_inner_rules()) {
    rule.steps = 1;
    rule.step_delay = delays[out.size() % 3];
    const TinyShape shape{.learned_rates = true, .inner_lr = test::rate_of(rule), .inner = rule};
    out.push_back({.shape = shape, .batch = 2, .chunks = 5});
    out.push_back({.shape = shape, .chunks = 6, .keep_bytes = 1});
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(DelayedSteps, MetaGradient, ::testing::ValuesIn(cases_of_delayed_steps()));

/// As a retrofit starts: while w2 is zero, w1 and w3 have no gradient, and Muon must not divide by its norm.
TEST(MetaGradientOfARetrofit, passes_matrices_without_gradient) {
  for (const InnerRule& rule : test::other_inner_rules()) {
    Network model = tiny_model({.learned_rates = true, .inner_lr = test::rate_of(rule), .inner = rule});
    const ModelConfig& c = model.config;
    for (Mlp& fast : model.weights.fast_S) fast.w2_DF = at::zeros_like(fast.w2_DF);
    const Tensor tokens = random_tokens(c, 2, 4 * c.chunk + 1);
    GradientSums gradients(c, model.weights);
    meta_gradient(c, gradients, tokens);
    const Tensor plain = plain_outer_loss(c, gradients.leaves(), tokens, /*learn=*/true);
    const auto leaves = parameter_list(c, gradients.leaves()), sums = parameter_list(c, gradients.sums());
    const auto expected = ops::gradients({plain}, leaves);
    for (size_t i = 0; i < leaves.size(); ++i) {
      const double scale = std::max(1e-3, expected[i].abs().max().item<double>());
      EXPECT_LT((sums[i] - expected[i]).abs().max().item<double>() / scale, 1e-10) << "parameter " << i;
    }
  }
}

TEST(GradientSums, parameters_that_are_not_trained_get_no_gradient_and_change_no_other) {
  const Network model = tiny_model({.learned_rates = true});
  const ModelConfig& c = model.config;
  const Tensor tokens = random_tokens(c, 2, 33);
  GradientSums all(c, model.weights);
  GradientSums few(c, model.weights, [](const std::string& name) {
    return name.find("fast") != std::string::npos || name == "inner_rate";
  });
  meta_gradient(c, all, tokens);
  meta_gradient(c, few, tokens);
  const auto a = parameter_list(c, all.sums()), f = parameter_list(c, few.sums());
  size_t trained = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!f[i].defined()) continue;
    ++trained;
    EXPECT_LT(test::max_difference(a[i], f[i]), 1e-12);
  }
  EXPECT_EQ(trained, 2 * 4 + 1u);  // two norms and two matrices of each fast MLP, and the rates
  EXPECT_LT(trained, a.size());
}

TEST(Segments, need_least_where_not_everything_fits_and_are_shorter_where_the_host_holds_their_starts) {
  const auto lengths = [](int64_t count, const KeptSets& sets, int64_t keep, int64_t host) {
    const Segments s = plan_segments(count, sets, keep, host);
    EXPECT_EQ(s.count, count);
    return std::pair(s.length, s.on_host);
  };
  using Plan = std::pair<int64_t, bool>;
  const KeptSets plain{2, 1, 100}, with_M{3, 2, 100};
  EXPECT_EQ(lengths(128, plain, 25600, 1 << 30), Plan(128, false)) << "all of it fits where it is";
  EXPECT_EQ(lengths(128, plain, 25599, 0), Plan(8, false));
  EXPECT_EQ(lengths(128, plain, 0, 12800), Plan(1, true)) << "a start of every step";
  EXPECT_EQ(lengths(128, plain, 0, 12799), Plan(2, true));
  EXPECT_EQ(lengths(128, plain, 0, 1600), Plan(8, true)) << "as long as without, but elsewhere";
  EXPECT_EQ(lengths(128, plain, 0, 1599), Plan(8, false)) << "longer ones would need more";
  EXPECT_EQ(lengths(128, plain, 0, 99), Plan(8, false));
  EXPECT_EQ(lengths(128, with_M, 0, 12800), Plan(2, true));
  EXPECT_EQ(lengths(1, plain, 0, 0), Plan(1, false));
  EXPECT_EQ(plan_segments(129, plain, 0, 1700).starts(), 17);
}

TEST(GradientSums, are_final_from_where_the_backward_pass_says_block_after_block) {
  for (const bool untied : {false, true}) {
    const Network model = tiny_model({.tie = !untied, .learned_rates = true});
    const ModelConfig& c = model.config;
    const Tensor tokens = random_tokens(c, 2, 25);
    for (const auto gradient : {meta_gradient, standard_gradient}) {
      const GradientSums sums(c, model.weights);
      std::vector<std::pair<int64_t, Tensor>> said;
      GradientOptions options;
      options.settled = [&](int64_t first) {
        said.emplace_back(first, sums.flat().narrow(0, first, sums.flat().numel() - first).clone());
      };
      gradient(c, sums, tokens, options);
      ASSERT_GT(said.size(), 2u);
      EXPECT_EQ(said.back().first, sums.begin_of_block(0));
      for (size_t i = 0; i < said.size(); ++i) {
        const auto& [first, then_n] = said[i];
        EXPECT_TRUE(at::equal(then_n, sums.flat().narrow(0, first, then_n.numel()))) << first;
        if (i == 0) continue;
        EXPECT_LT(first, said[i - 1].first);
        EXPECT_GT(then_n.abs().max().item<double>(), 0);
      }
    }
  }
}

TEST(GradientSums, lie_in_one_piece_of_memory_and_count_what_the_table_counts) {
  const Network model = tiny_model({.tie = false, .learned_rates = true, .unrotated = 2});
  const ModelConfig& c = model.config;
  GradientSums gradients(c, model.weights);
  int64_t numbers = 0;
  for (const Tensor& sum : parameter_list(c, gradients.sums())) {
    numbers += sum.numel();
    EXPECT_EQ(sum.storage().data(), gradients.flat().storage().data());
    EXPECT_EQ(sum.storage_offset() % 16, 0);
    sum.fill_(1);
  }
  EXPECT_EQ(numbers, parameter_count(c));
  EXPECT_EQ(gradients.flat().sum().item<double>(), static_cast<double>(numbers));  // none overlaps another
}

TEST(ParameterTable, parts_in_files_cover_a_parameter_and_no_name_is_given_twice) {
  ModelConfig c = test::tiny_config({.tie = false, .learned_rates = true});
  c.change_layers([](LayerSpec& layer) { layer.qkv_bias = true; });
  std::set<std::string> names;
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) {
    int64_t row = 0;
    for (const StoredPart& part : stored_parts(p, c, layer)) {
      EXPECT_EQ(part.first_row, row) << part.name;
      row += part.rows;
      EXPECT_TRUE(names.insert(part.name).second) << part.name;
      EXPECT_TRUE(part.gguf.empty() || names.insert(part.gguf).second) << part.gguf;
    }
    EXPECT_EQ(row, shape_of(p, c)[0]) << full_name(p, layer);
  });
}

TEST(OuterGradient, a_length_that_is_no_multiple_of_the_chunk_is_refused) {
  const Network model = tiny_model({});
  GradientSums gradients(model.config, model.weights);
  EXPECT_THROW(meta_gradient(model.config, gradients, random_tokens(model.config, 1, 12)), Error);
  EXPECT_THROW(standard_gradient(model.config, gradients, random_tokens(model.config, 1, 1)), Error);
}

}  // namespace
}  // namespace ingrain::ttt
