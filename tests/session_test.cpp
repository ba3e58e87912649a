// Sessions (session/session.h): whatever they do, in whatever order, alone or in a batch, is reading.
#include "session/session.h"

#include "base/error.h"
#include "ops/quantized/quantized.h"
#include "same_memory.h"
#include "threads.h"
#include "wide_model.h"

#include <gtest/gtest.h>

#include <random>

namespace ingrain::session {
namespace {

using test::expect_same_memory;
using test::kSame;
using test::max_difference;
using test::tiny_model;
using test::TinyShape;
using test::wide_model;
using ttt::Memory;
using ttt::ReadOptions;

/// A session in a batch, and what it must be: a memory of its own that everything is read into by ttt::read.
class Conversation {
 public:
  Conversation(const Network& model, Memory memory)
      : model_(model), expected_(memory.fork()), session_(std::make_unique<Session>(model, std::move(memory))) {}
  Conversation(const Conversation& other)
      : model_(other.model_), expected_(other.expected_.fork()), session_(other.session_->fork()) {}

  Session& session() { return *session_; }

  /// With the scores that reading gives.
  void read(const Tensor& tokens, const ReadOptions& options) {
    const Tensor nll = session_->read(tokens, options).nll_Bn,
                 want = ttt::read(model_, expected_, tokens, options).nll_Bn;
    if (nll.numel() == 0) return;
    ASSERT_TRUE(nll.isnan().equal(want.isnan()));
    EXPECT_LT(max_difference(nll.nan_to_num(), want.nan_to_num()), kSame);
  }
  /// What the batch's step makes the session read.
  void expect_read(const Tensor& token_B1, const ReadOptions& options) {
    ttt::read(model_, expected_, token_B1, options);
  }
  void check_logits() { EXPECT_LT(max_difference(session_->logits_BV(), ttt::next_logits(model_, expected_)), kSame); }
  void check() { expect_same_memory(model_, expected_, session_->memory(), kSame); }

 private:
  const Network& model_;
  Memory expected_;
  std::unique_ptr<Session> session_;
};

class Sessions : public ::testing::TestWithParam<TinyShape> {
 protected:
  Tensor tokens(const Network& model, int64_t count) { return test::random_tokens(model.config, 1, count, seed_++); }
  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  ReadOptions options() {
    ReadOptions out;
    out.learn = below(6) > 0;
    out.learn_these = below(3) > 0;
    return out;
  }

 private:
  // Of texts that meet no nearly singular norm of a recurrent mixer: there two memories that begin 1e-15 apart part by
  // 1e-11 as well (seed 11, the last shape).
  uint64_t seed_ = 12345;
  std::mt19937_64 random_{7};
};

/// At any token a session may write, read, rest, fork, leave the batch or join it.
TEST_P(Sessions, in_one_batch_are_what_each_is_alone) {
  const Network model = tiny_model(GetParam());
  std::vector<std::unique_ptr<Conversation>> all;
  Batch batch(model);
  const auto join = [&](std::unique_ptr<Conversation> one) {
    batch.add(one->session());
    all.push_back(std::move(one));
  };
  for (const int64_t before : {3, 1, 21}) {
    Memory memory = ttt::empty_memory(model);
    ttt::read(model, memory, tokens(model, before));
    join(std::make_unique<Conversation>(model, std::move(memory)));
  }
  for (int64_t t = 0; t < 40; ++t) {
    std::vector<ReadOptions> how(all.size());
    std::vector<Batch::Turn> turns;
    for (size_t i = 0; i < all.size(); ++i) {
      if (below(4) == 0) continue;
      how[i] = options();
      const Tensor token = tokens(model, 1);
      all[i]->expect_read(token, how[i]);
      turns.push_back({all[i]->session(), token, how[i]});
    }
    if (!turns.empty()) batch.step(turns);
    Conversation& one = *all[static_cast<size_t>(below(static_cast<int64_t>(all.size())))];
    switch (below(12)) {
      case 0: one.read(tokens(model, 1 + below(20)), options()); break;
      case 1: one.read(tokens(model, 1), options()); break;
      case 2: one.check(); break;
      case 3:
        if (all.size() < 6) join(std::make_unique<Conversation>(one));
        break;
      case 4:
        batch.remove(one.session());
        one.check_logits();
        one.read(tokens(model, 1 + below(3)), options());
        batch.add(one.session());
        break;
      case 5:
        if (all.size() > 2) all.erase(all.begin() + below(static_cast<int64_t>(all.size())));
        break;
      default: break;
    }
    for (const auto& each : all) each->check_logits();
    if (HasFailure()) FAIL() << "step " << t;
  }
  EXPECT_EQ(batch.sessions(), static_cast<int64_t>(all.size()));
  for (const auto& each : all) each->check();
}

TEST_P(Sessions, read_and_write_in_any_order_and_copy_their_windows_once) {
  const Network model = tiny_model(GetParam());
  Memory memory = ttt::empty_memory(model);
  ttt::read(model, memory, tokens(model, 40));
  Conversation one(model, std::move(memory));
  int64_t reads = 0;
  for (int64_t turn = 0; turn < 12; ++turn) {
    const int64_t question = turn == 7 ? 0 : 2 + below(9);
    one.read(tokens(model, question), options());
    reads += question > 0;
    one.check_logits();
    for (int64_t i = below(10); i >= 0; --i) {
      const ReadOptions how = options();
      const Tensor token = tokens(model, 1);
      one.expect_read(token, how);
      one.session().write(token, how);
      one.check_logits();
    }
  }
  one.check();
  if (model.config.widest_window() > 40) return;  // rings have grown with the text
  EXPECT_EQ(one.session().loads().whole, 1);
  EXPECT_EQ(one.session().loads().parts, reads - 1) << "the first question came before any ring";
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Sessions,
    ::testing::Values(
        TinyShape{}, TinyShape{.suffix = 1}, TinyShape{.window = 1}, TinyShape{.window = 40, .chunk = 6},
        TinyShape{.window = 5, .kv_heads = 1}, TinyShape{.layers = 2, .suffix = 0}, TinyShape{.chunk = 1},
        TinyShape{.window = ModelConfig::kFullAttention, .learned_rates = true},
        TinyShape{.tie = false, .post_norm = false}, TinyShape{.layers = 4, .suffix = 3, .window = 5, .full = 2},
        TinyShape{.layers = 4, .suffix = 2, .window = 40, .full = 3},
        TinyShape{.layers = 4, .suffix = 3, .window = 5, .sink = true},
        TinyShape{.window = 40, .chunk = 6, .sink = true}, TinyShape{.mixers = {{"gated_delta_net", 1}}},
        TinyShape{.layers = 4, .suffix = 3, .inner_lr = 0.2, .mixers = {{"gated_delta_net", 3}, {"mamba2", 2}}}));
INSTANTIATE_TEST_SUITE_P(DelayedSteps, Sessions, ::testing::ValuesIn(test::shapes_of_delayed_steps()));
INSTANTIATE_TEST_SUITE_P(RecurrentMixers, Sessions, ::testing::ValuesIn(test::shapes_of_recurrent_mixers()));

TEST(SessionsByKernels, capture_a_token_or_say_what_stands_in_the_way) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const Network model = wide_model(type);
    Session session(model, ttt::empty_memory(model));
    session.read(test::random_tokens(model.config, 1, 20));
    EXPECT_EQ(session.graph(), nullptr) << "no token was written";
    for (uint64_t i = 0; i < 3; ++i) session.write(test::random_tokens(model.config, 1, 1, i));
    ASSERT_NE(session.graph(), nullptr);
    EXPECT_EQ(session.graph()->captured(), type != at::kDouble) << type << ": " << session.graph()->refusal();
    EXPECT_EQ(session.graph()->refusal().empty(), type != at::kDouble);
  }
}

/// With one thread, and few enough rows for the kernels of few rows, sums have one order.
TEST(SessionsByKernels, in_one_batch_are_what_each_is_alone_to_the_last_bit) {
  const test::Threads one_thread(1);
  struct Kind {
    at::ScalarType type;
    const ops::QuantizedFormat* format = nullptr;
    int64_t step_delay = 0;
  };
  for (const auto& [type, format, step_delay] : {Kind{at::kFloat}, Kind{at::kBFloat16}, Kind{at::kFloat, &ops::q8_0},
                                                 Kind{at::kFloat, nullptr, 5}, Kind{at::kBFloat16, nullptr, 1}}) {
    const Network model = wide_model(type, format, step_delay);
    Batch batch(model);
    std::vector<std::unique_ptr<Session>> alone, together;
    for (uint64_t i = 0; i < 6; ++i) {
      Memory memory = ttt::empty_memory(model);
      ttt::read(model, memory, test::random_tokens(model.config, 1, static_cast<int64_t>(1 + 5 * i), i));
      alone.push_back(std::make_unique<Session>(model, memory.fork()));
      together.push_back(std::make_unique<Session>(model, std::move(memory)));
      batch.add(*together.back());
    }
    const ReadOptions options;
    for (uint64_t t = 0; t < 40; ++t) {
      std::vector<Batch::Turn> turns;
      for (uint64_t i = 0; i < 6; ++i) {
        if ((t + i) % 5 == 0) continue;
        const Tensor token = test::random_tokens(model.config, 1, 1, 100 + 6 * t + i);
        alone[i]->write(token, options);
        turns.push_back({*together[i], token, options});
      }
      batch.step(turns);
      for (uint64_t i = 0; i < 6; ++i)
        ASSERT_TRUE(alone[i]->logits_BV().equal(together[i]->logits_BV())) << type << " step " << t << " session " << i;
    }
    for (uint64_t i = 0; i < 6; ++i) {
      EXPECT_GT(alone[i]->memory().steps, 2);
      expect_same_memory(model, alone[i]->memory(), together[i]->memory(), 0);
    }
  }
}

/// Sessions that were forked from one memory read its fast weights together until each has learned something else.
/// With Q4_1 only the head's sums depend on how many rows there are.
TEST(SessionsByKernels, that_share_fast_weights_are_what_each_is_alone_however_many_there_are) {
  const test::Threads one_thread(1);
  const Network model = wide_model(at::kFloat, &ops::q4_1);
  Memory memory = ttt::empty_memory(model);
  ttt::read(model, memory, test::random_tokens(model.config, 1, 30));
  Batch batch(model);
  std::vector<std::unique_ptr<Session>> alone, together;
  for (int64_t i = 0; i < 20; ++i) {
    if (i == 10) ttt::read(model, memory, test::random_tokens(model.config, 1, 21));
    alone.push_back(std::make_unique<Session>(model, memory.fork()));
    together.push_back(std::make_unique<Session>(model, memory.fork()));
    batch.add(*together.back());
  }
  const ReadOptions options;
  for (uint64_t t = 0; t < 30; ++t) {
    std::vector<Batch::Turn> turns;
    for (uint64_t i = 0; i < together.size(); ++i) {
      if ((t * i) % 5 == 2 || !batch.has(*together[i])) continue;  // they learn at different times
      const Tensor token = test::random_tokens(model.config, 1, 1, 100 + 20 * t + i);
      alone[i]->write(token, options);
      turns.push_back({*together[i], token, options});
    }
    batch.step(turns);
    for (uint64_t i = 0; i < together.size(); ++i)
      ASSERT_LT(max_difference(alone[i]->logits_BV(), together[i]->logits_BV()), 1e-5) << t << " " << i;
    if (t == 12) batch.remove(*together[3]);  // whose weights others used
    if (t == 20) batch.add(*together[3]);
    if (t == 15) together[7]->become(together[2]->snapshot()), alone[7]->become(alone[2]->snapshot());
  }
  for (uint64_t i = 0; i < together.size(); ++i)
    expect_same_memory(model, alone[i]->memory(), together[i]->memory(), 0);
}

/// A session that was kept as a memory and begun again goes on to the last bit, whatever the lengths of its calls.
TEST(SessionsByKernels, begun_again_go_on_to_the_last_bit) {
  const test::Threads threads(3);
  for (const auto& [type, step_delay] : {std::pair(at::kFloat, 0), {at::kBFloat16, 0}, {at::kFloat, 6}}) {
    const Network model = wide_model(type, nullptr, step_delay);
    Memory memory = ttt::empty_memory(model);
    ttt::read(model, memory, test::random_tokens(model.config, 1, 30));
    Session in_one(model, memory.fork());
    for (uint64_t turn = 0; turn < 8; ++turn) {
      Session again(model, std::move(memory));
      for (const int64_t n : {5, 1, 1, 2, 1, 1, 1, 1}) {
        const Tensor tokens = test::random_tokens(model.config, 1, n, 10 * turn + static_cast<uint64_t>(n));
        in_one.read(tokens);
        again.read(tokens);
        ASSERT_TRUE(in_one.logits_BV().equal(again.logits_BV())) << type << " turn " << turn;
      }
      memory = again.snapshot();
    }
    EXPECT_EQ(in_one.loads().whole, 1);
  }
}

TEST(Session, of_several_sequences_in_step_takes_as_many_rows_of_a_batch) {
  const Network model = tiny_model({});
  Batch batch(model);
  std::vector<Memory> expected;
  std::vector<std::unique_ptr<Session>> sessions;
  for (const int64_t sequences : {1, 2, 3, 1}) {
    Memory memory = ttt::empty_memory(model, sequences);
    ttt::read(model, memory, test::random_tokens(model.config, sequences, 5 + 3 * sequences));
    expected.push_back(memory.fork());
    sessions.push_back(std::make_unique<Session>(model, std::move(memory)));
    batch.add(*sessions.back());
  }
  const ReadOptions options;
  for (uint64_t t = 0; t < 24; ++t) {
    if (t == 9) batch.remove(*sessions[1]);
    if (t == 12) batch.add(*sessions[1]);
    std::vector<Batch::Turn> turns;
    for (uint64_t i = 0; i < sessions.size(); ++i) {
      if ((t + i) % 5 == 0 || !batch.has(*sessions[i])) continue;
      const Tensor token_B1 = test::random_tokens(model.config, expected[i].batch(), 1, 5 * t + i);
      turns.push_back({*sessions[i], token_B1, options});
      ttt::read(model, expected[i], token_B1, options);
    }
    batch.step(turns);
  }
  for (size_t i = 0; i < sessions.size(); ++i) expect_same_memory(model, expected[i], sessions[i]->memory());
}

TEST(Session, goes_back_to_its_checkpoints) {
  const Network model = tiny_model({});
  const Tensor tokens = test::random_tokens(model.config, 1, 60);
  Memory expected = ttt::empty_memory(model);
  Session session(model, ttt::empty_memory(model), Checkpoints(1 << 20));
  session.read(tokens.narrow(1, 0, 20));
  for (int64_t i = 20; i < 50; ++i) session.write(tokens.narrow(1, i, 1));
  EXPECT_FALSE(session.rewind(31));
  ASSERT_TRUE(session.rewind(32));
  EXPECT_EQ(session.checkpoints().positions().back(), 32);
  ttt::read(model, expected, tokens.narrow(1, 0, 32));
  EXPECT_LT(max_difference(session.logits_BV(), ttt::next_logits(model, expected)), kSame);
  for (int64_t i = 40; i < 60; ++i) session.write(tokens.narrow(1, i, 1));
  ttt::read(model, expected, tokens.narrow(1, 40, 20));
  expect_same_memory(model, expected, session.memory());
}

TEST(Session, reads_every_token_though_a_step_s_report_throws) {
  const Network model = tiny_model({.chunk = 1});
  const Tensor tokens = test::random_tokens(model.config, 1, 9);
  Memory expected = ttt::empty_memory(model);
  Session session(model, ttt::empty_memory(model));
  session.read(tokens.narrow(1, 0, 3));
  ReadOptions options;
  options.on_step = [](const ttt::StepReport&, const Memory&, const std::vector<Mlp>&) {
    throw std::runtime_error("enough");
  };
  EXPECT_THROW(session.read(tokens.narrow(1, 3, 1), options), std::runtime_error);
  EXPECT_EQ(session.position(), 4);
  session.read(tokens.narrow(1, 4, 5));
  ttt::read(model, expected, tokens);
  expect_same_memory(model, expected, session.memory());
}

TEST(Session, what_cannot_be_done_is_refused_before_anything_is) {
  const Network model = tiny_model({}), other = tiny_model({});
  const Tensor token = at::full({1, 1}, 3, at::kLong), foreign = at::full({1, 1}, 37, at::kLong);
  const ReadOptions options;
  Session nothing(model, ttt::empty_memory(model)), some(model, ttt::empty_memory(model)),
      stranger(other, ttt::empty_memory(other));
  some.read(token);
  EXPECT_THROW(nothing.write(token), Error);
  EXPECT_THROW(nothing.logits_BV(), Error);
  EXPECT_THROW(some.write(foreign), Error);
  EXPECT_THROW(some.become(ttt::empty_memory(model, 2)), Error);
  Batch batch(model);
  EXPECT_THROW(batch.add(stranger), Error);
  EXPECT_THROW(batch.remove(some), Error);
  const auto refused = [&](std::initializer_list<Batch::Turn> turns) {
    const std::vector<Batch::Turn> all(turns);
    EXPECT_THROW(batch.step(all), Error);
  };
  refused({{some, token, options}});
  batch.add(some);
  batch.add(nothing);
  refused({{some, token, options}, {nothing, token, options}});
  refused({{some, token, options}, {some, token, options}});
  EXPECT_EQ(some.position(), 1);
  some.write(token);
  EXPECT_EQ(some.position(), 2);
}

}  // namespace
}  // namespace ingrain::session
