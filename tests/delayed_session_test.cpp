// Sessions whose steps take effect some tokens later, and are made in pieces meanwhile (ttt/steps/piecewise.h).
#include "session/session.h"

#include "base/error.h"
#include "same_memory.h"
#include "threads.h"
#include "wide_model.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ingrain::session {
namespace {

using test::expect_same_memory;
using test::kSame;
using test::max_difference;
using test::tiny_model;
using test::wide_model;
using ttt::Memory;
using ttt::ReadOptions;

/// What asks for the memory while a step is being made has it made at once: not a bit is different.
TEST(SessionsByKernels, make_a_delayed_step_in_pieces_or_at_once) {
  const test::Threads one_thread(1);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const Network model = wide_model(type, nullptr, 5);
    for (int64_t asked = 0; asked < 8; ++asked) {
      Session straight(model, ttt::empty_memory(model)), interrupted(model, ttt::empty_memory(model));
      const Tensor tokens = test::random_tokens(model.config, 1, 63);
      for (Session* session : {&straight, &interrupted}) session->read(tokens.narrow(1, 0, 13));
      std::vector<int64_t> steps;
      ReadOptions options;
      options.on_step = [&](const ttt::StepReport& step, const Memory&, const std::vector<Mlp>&) {
        steps.push_back(step.step);
      };
      for (int64_t i = 13; i < 63; ++i) {
        straight.write(tokens.narrow(1, i, 1));
        interrupted.write(tokens.narrow(1, i, 1), options);
        if (i % 8 == asked) {
          EXPECT_EQ(interrupted.memory().steps, i / 8) << "token " << i;
        }
        ASSERT_TRUE(straight.logits_BV().equal(interrupted.logits_BV())) << type << " token " << i;
      }
      EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6})) << "asked at " << asked;
      expect_same_memory(model, straight.memory(), interrupted.memory(), 0);
    }
  }
}

/// Who ends a text while a step is under way hears of it with that text, once.
TEST(Session, settles_a_delayed_step_that_is_then_told_of_once) {
  const Network model = tiny_model({.inner = {.step_delay = 5}});
  const Tensor tokens = test::random_tokens(model.config, 1, 20);
  std::vector<int64_t> steps;
  ReadOptions options;
  options.on_step = [&](const ttt::StepReport& step, const Memory&, const std::vector<Mlp>&) {
    steps.push_back(step.step);
  };
  Session session(model, ttt::empty_memory(model));
  session.read(tokens.narrow(1, 0, 12), options);
  for (int64_t i = 12; i < 18; ++i) session.write(tokens.narrow(1, i, 1), options);
  EXPECT_EQ(session.steps(), 1);
  EXPECT_EQ(steps, (std::vector<int64_t>{0}));
  session.settle(options);
  EXPECT_EQ(session.steps(), 2);
  for (int64_t i = 18; i < 20; ++i) session.write(tokens.narrow(1, i, 1), options);
  EXPECT_EQ(steps, (std::vector<int64_t>{0, 1}));
}

TEST(Session, hands_out_no_memory_that_a_delayed_step_has_spoilt) {
  const Network model = tiny_model({.inner = {.step_delay = 5}});
  const Tensor tokens = test::random_tokens(model.config, 1, 18);
  Memory memory = ttt::empty_memory(model);
  for (Mlp& mlp : memory.W_S) mlp.w2_DF.fill_(std::nan(""));
  Session session(model, std::move(memory));
  ReadOptions unchecked;
  unchecked.finite = false;
  session.read(tokens.narrow(1, 0, 12), unchecked);
  for (int64_t i = 12; i < 18; ++i) session.write(tokens.narrow(1, i, 1));
  EXPECT_THROW(session.memory(), Error);
  EXPECT_THROW(session.settle(), Error);
}

/// A session that goes away, becomes another or goes back forgets the step that it was making.
TEST(Session, drops_a_delayed_step_with_its_memory) {
  const Network model = tiny_model({.inner = {.step_delay = 5}});
  const Tensor tokens = test::random_tokens(model.config, 1, 60);
  Memory expected = ttt::empty_memory(model);
  ttt::read(model, expected, tokens.narrow(1, 0, 16));
  Session session(model, ttt::empty_memory(model), Checkpoints(1 << 20));
  session.read(tokens.narrow(1, 0, 12));
  for (int64_t i = 12; i < 18; ++i) session.write(tokens.narrow(1, i, 1));
  ASSERT_TRUE(session.rewind(16));
  expect_same_memory(model, expected, session.memory());
  for (int64_t i = 30; i < 50; ++i) session.write(tokens.narrow(1, i, 1));
  ttt::read(model, expected, tokens.narrow(1, 30, 20));
  EXPECT_LT(max_difference(session.logits_BV(), ttt::next_logits(model, expected)), kSame);
  expect_same_memory(model, expected, session.memory());
}

}  // namespace
}  // namespace ingrain::session
