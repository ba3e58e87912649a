// Everything computes where the weights are, gives the CPU's numbers there, and does not wait for the device on the
// way.
#include "ops/backend.h"
#include "ops/swiglu/swiglu.h"
#include "other_device/there.h"
#include "train/adamw.h"
#include "train/validation.h"
#include "session/session.h"
#include "ttt/memory_file.h"
#include "ttt/outer_gradient.h"
#include "session/checkpoints.h"

namespace ingrain {
namespace {

using test::OtherDevice;

TEST_F(OtherDevice, it_does_not_mix_with_the_cpu_and_counts_who_waits) {
  const Tensor here = at::ones({2}), there = here.to(test::kOther);
  EXPECT_THROW(here + there, c10::Error);
  EXPECT_THROW(at::cat({there, here}), c10::Error);
  EXPECT_NO_THROW(there + at::ones({}));  // a number
  const int64_t before = test::waits();
  EXPECT_EQ((there + there).sum().item<float>(), 4);
  EXPECT_EQ(test::waits(), before + 1);
}

TEST_F(OtherDevice, operations_there_are_the_reference_s_in_every_type) {
  for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
    const Tensor ab = at::ones({1, 3, 8}, type), there = ab.to(test::kOther);
    EXPECT_EQ(ops::backend_for(there), ops::Backend::reference)
        << type << ": its memory is not the CPU kernels' to read";
    EXPECT_TRUE(ops::swiglu(there).cpu().equal(ops::swiglu_reference.forward(ab, ops::Gate::silu)));
  }
}

TEST_F(OtherDevice, reading_gives_the_same_numbers_there_and_waits_once_a_call) {
  const Network here = test::tiny_model({.learned_rates = true}), there = this->there(here);
  ttt::Memory a = ttt::empty_memory(here), b = ttt::empty_memory(there);
  ttt::ReadOptions options;
  options.measure_steps = true;
  for (const int64_t n : {1, 20, 3}) {  // chunks of 8
    const Tensor tokens_Bn = test::random_tokens(here.config, 1, n);
    const int64_t before = test::waits();
    const Tensor nll_Bn = ttt::read(there, b, tokens_Bn, options).nll_Bn;
    EXPECT_LE(test::waits(), before + 2);  // the tokens' way there, and one look at whether all losses are finite
    expect_same(ttt::read(here, a, tokens_Bn, options).nll_Bn, nll_Bn);
  }
  EXPECT_EQ(b.steps, a.steps);
  expect_same(ttt::next_logits(here, a), ttt::next_logits(there, b.fork()));
  session::Checkpoints checkpoints(uint64_t{1} << 20);
  const Tensor more_Bn = test::random_tokens(here.config, 1, 20, 8);
  ttt::InnerLoop loop(there, b);
  expect_same(ttt::read(here, a, more_Bn, options).nll_Bn, session::read(loop, checkpoints, more_Bn, options).nll_Bn);
  EXPECT_FALSE(checkpoints.positions().empty());
}

TEST_F(OtherDevice, writing_gives_the_same_numbers_there_and_waits_for_none_but_its_own_logits) {
  const Network here = test::tiny_model({}), there = this->there(here);
  ttt::Memory a = ttt::empty_memory(here), b = ttt::empty_memory(there);
  const Tensor start_Bn = test::random_tokens(here.config, 1, 21),
               tokens_Bn = test::random_tokens(here.config, 1, 40, 8);
  ttt::read(here, a, start_Bn);
  ttt::read(there, b, start_Bn);
  session::Session decoder_a(here, std::move(a)), decoder_b(there, std::move(b));
  for (int64_t i = 0; i < tokens_Bn.size(1); ++i) {
    expect_same(decoder_a.logits_BV(), decoder_b.logits_BV());
    const Tensor token_B1 = tokens_Bn.narrow(1, i, 1);
    decoder_a.write(token_B1);
    const int64_t before = test::waits();
    decoder_b.write(token_B1);
    const bool ends_chunk = (22 + i) % here.config.chunk <= 1;  // its tokens go into the memory, and its step is made
    EXPECT_LE(test::waits(), before + (ends_chunk ? 1 : 0)) << i;
  }
  EXPECT_EQ(decoder_a.memory().steps, decoder_b.memory().steps);
  expect_same(ttt::next_logits(here, decoder_a.memory()), ttt::next_logits(there, decoder_b.memory()));
}

TEST_F(OtherDevice, memory_files_know_no_device) {
  const Network here = test::tiny_model({}), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, 1, 21),
               next_Bn = test::random_tokens(here.config, 1, 20, 8);
  ttt::Memory a = ttt::empty_memory(here), b = ttt::empty_memory(there);
  ttt::read(here, a, tokens_Bn);
  ttt::read(there, b, tokens_Bn);
  for (const MemoryForm form : {MemoryForm::working, MemoryForm::compact}) {
    ttt::save_memory(dir_ / "here.memory", here, a, form);
    ttt::save_memory(dir_ / "there.memory", there, b, form);
    ttt::Memory from_there = ttt::load_memory(dir_ / "there.memory", here),
                from_here = ttt::load_memory(dir_ / "here.memory", there);
    const double tolerance = form == MemoryForm::working ? 1e-10 : 0.05;
    EXPECT_LT(test::max_difference(ttt::read(here, from_there, next_Bn).nll_Bn,
                                   ttt::read(there, from_here, next_Bn).nll_Bn.cpu()),
              tolerance);
  }
}

TEST_F(OtherDevice, scores_and_validation_are_the_same_there) {
  const Network here = test::tiny_model({}), there = this->there(here);
  std::vector<int32_t> tokens;
  std::string bytes;  // the same tokens, 16 bits each
  for (int32_t i = 0; i < 60; ++i) {
    tokens.push_back((7 * i + i * i) % 37);
    bytes += static_cast<char>(tokens.back());
    bytes += '\0';
  }
  const auto nll_n = [&](const Network& model) {
    ttt::Memory memory = ttt::empty_memory(model);
    return ttt::read(model, memory, ttt::as_batch(tokens)).nll_Bn[0].narrow(0, 1, 59).cpu();
  };
  EXPECT_LT(test::max_difference(nll_n(here), nll_n(there)), 1e-6);
  train::RunConfig run;
  run.model.config = here.config;
  run.train.batch = 2;
  run.validation.paths = {put(dir_ / "tokens.bin", bytes)};
  run.validation.sequences = 3;
  run.validation.length = 16;
  const auto a = train::validate_files(here, run, {}), b = train::validate_files(there, run, {});
  EXPECT_NEAR((*a)[0].loss_on, (*b)[0].loss_on, 1e-10);
  EXPECT_NEAR((*a)[0].loss_off, (*b)[0].loss_off, 1e-10);
}

TEST_F(OtherDevice, starts_of_segments_that_lie_on_the_host_change_no_bit_and_nobody_waits_for_them) {
  const InnerRule with_momentum{.momentum = 0.6, .steps = 2}, delayed{.step_delay = 3};
  for (const InnerRule& rule : {InnerRule{}, with_momentum, delayed}) {
    const Network here = test::tiny_model({.learned_rates = true, .inner_lr = 0.2, .inner = rule}),
                  there = this->there(here);
    const Tensor tokens_BT1 = test::random_tokens(here.config, 2, 81);  // 10 chunks
    ttt::GradientOptions options;
    options.keep_bytes = 0;
    const GradientSums kept(there.config, there.weights);
    const Tensor loss_BC = ttt::meta_gradient(there.config, kept, tokens_BT1, options).chunk_loss_BC;
    // Room for every start, for those of longer segments (where more is kept of each: for too few to help), for none.
    for (const int64_t host_bytes : {int64_t{1} << 30, int64_t{1} << 18, int64_t{1000}}) {
      options.host_bytes = host_bytes;
      const GradientSums pushed(there.config, there.weights);
      const int64_t before = test::waits(), came = test::downloads();
      const ttt::OuterLoss loss = ttt::meta_gradient(there.config, pushed, tokens_BT1, options);
      EXPECT_EQ(test::waits(), before);
      const int64_t least = host_bytes == 1000 ? 0 : host_bytes == 1 << 18 ? (rule == InnerRule{} ? 4 : 0) : 9;
      EXPECT_GE(test::downloads() - came, 4 * least) << "both tensors of both blocks, of so many starts";
      if (least == 0) {
        EXPECT_EQ(test::downloads(), came);
      }
      EXPECT_TRUE(loss.chunk_loss_BC.cpu().equal(loss_BC.cpu()));
      EXPECT_TRUE(pushed.flat().cpu().equal(kept.flat().cpu())) << host_bytes;
    }
  }
}

TEST_F(OtherDevice, the_outer_gradient_is_the_same_there_and_waits_for_nothing) {
  const Network here = test::tiny_model({.learned_rates = true}), there = this->there(here);
  const Tensor tokens_BT1 = test::random_tokens(here.config, 2, 33);
  for (const auto gradient : {ttt::meta_gradient, ttt::standard_gradient}) {
    for (const auto recompute : {ttt::Recompute::always, ttt::Recompute::never}) {
      const GradientSums a(here.config, here.weights), b(there.config, there.weights);
      ttt::GradientOptions options;
      options.recompute = recompute;
      options.keep_bytes = 0;
      const int64_t before = test::waits();
      const ttt::OuterLoss loss = gradient(there.config, b, tokens_BT1, options);
      EXPECT_EQ(test::waits(), before);
      expect_same(gradient(here.config, a, tokens_BT1, options).chunk_loss_BC, loss.chunk_loss_BC);
      const auto g = parameter_list(here.config, a.sums()), h = parameter_list(there.config, b.sums());
      for (size_t i = 0; i < g.size(); ++i) expect_same(g[i], h[i]);
    }
  }
}

TEST_F(OtherDevice, adamw_steps_the_same_there_and_waits_for_nothing) {
  const Network here = test::tiny_model({}), there = this->there(here);
  const auto step = [&](const Network& model) {
    const GradientSums gradients(model.config, model.weights);
    ttt::standard_gradient(model.config, gradients, test::random_tokens(model.config, 2, 33));
    train::AdamW optimizer(model.config, model.weights, gradients, {});
    const double norm = optimizer.gradient_norm().item<double>();
    const int64_t before = test::waits();
    optimizer.step(1e-2, norm);
    EXPECT_EQ(test::waits(), before);
    return parameter_list(model.config, model.weights);
  };
  const auto a = step(here), b = step(there);
  for (size_t i = 0; i < a.size(); ++i) expect_same(a[i], b[i]);
}

}  // namespace
}  // namespace ingrain
