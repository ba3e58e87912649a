// What runs as a CUDA graph on a GPU gives the CPU's numbers when it is replayed. The graph is acted out by recorder.h.
#include "ops/autograd.h"
#include "ops/graph/graph.h"
#include "other_device/recorder.h"
#include "other_device/there.h"
#include "ttt/steps/chunk_graph.h"
#include "session/session.h"
#include "ttt/memory_file.h"

namespace ingrain {
namespace {

using test::kOther;
using test::OtherDevice;

class Graph : public OtherDevice {
 protected:
  const at::TensorOptions options_ = at::TensorOptions(kOther).dtype(at::kDouble);
  ops::Graph graph_{kOther};
};

TEST_F(Graph, replays_what_the_second_run_did_on_the_tensors_of_then) {
  Tensor x = at::ones({3}, options_), y = at::zeros({3}, options_), result;
  const Tensor first = x;
  const auto work = [&] {
    const at::AutoGradMode grad(true);
    const Tensor leaf = x.detach().requires_grad_();
    y.copy_(ops::gradients({(leaf * leaf * leaf).sum()}, {leaf})[0]);  // in the backward's own thread
    result = y.index_select(0, at::arange(2, options_.dtype(at::kLong))) + 1;
  };
  const int64_t before = test::replays();
  for (int64_t i = 1; i <= 5; ++i) {
    x.fill_(i);
    graph_.run(work);
    expect_same(at::full({3}, 3.0 * i * i, at::kDouble), y);
    expect_same(at::full({2}, 3.0 * i * i + 1, at::kDouble), result);
  }
  EXPECT_EQ(test::replays(), before + 3);
  x = at::full({3}, 7, options_);  // a graph does not know of it
  graph_.run(work);
  expect_same(at::full({3}, 75, at::kDouble), y);
  graph_.forget();
  graph_.run(work);
  expect_same(at::full({3}, 147, at::kDouble), y);
}

TEST_F(Graph, keeps_a_number_that_the_host_counts) {
  const Tensor x = at::zeros({1}, options_);
  int64_t count = 0;
  for (int64_t i = 0; i < 4; ++i) graph_.run([&] { x.add_(count++); });
  EXPECT_EQ(x.item<double>(), 0 + 1 + 1 + 1);
}

TEST_F(Graph, of_work_that_waits_or_copies_or_moves_memory_is_an_error) {
  const Tensor x = at::ones({2}, options_), here = at::ones({2}, at::kDouble);
  const std::function<void()> wrong[] = {
      [&] { x.sum().item<double>(); },
      [&] { x.copy_(here, /*non_blocking=*/true); },
      [&] { here.copy_(x); },
      [&] { x.resize_({4}); },
  };
  for (const auto& work : wrong) {
    graph_.forget();
    EXPECT_NO_THROW(graph_.run(work));
    EXPECT_THROW(graph_.run(work), c10::Error);
    EXPECT_THROW(graph_.run(work), c10::Error) << "it was not recorded";
  }
  EXPECT_NO_THROW(x.sum().item<double>()) << "and nothing is recorded after it";
}

/// A window that is full, one that grows while tokens are written, and what else changes a token's work.
struct Case {
  test::TinyShape shape;
  int64_t batch, before;  // tokens read before the decoder starts
  int64_t runs_anew;      // how often its buffers are made
};

class GraphOfAToken : public OtherDevice, public ::testing::WithParamInterface<Case> {};

TEST_P(GraphOfAToken, gives_the_numbers_of_the_cpu) {
  const auto& [shape, batch, before, runs_anew] = GetParam();
  const Network here = test::tiny_model(shape), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, batch, 60);
  ttt::Memory a = ttt::empty_memory(here, batch), b = ttt::empty_memory(there, batch), fork_a, fork_b;
  ttt::read(here, a, tokens_Bn.narrow(1, 0, before));
  ttt::read(there, b, tokens_Bn.narrow(1, 0, before));
  session::Session decoder_a(here, std::move(a)), decoder_b(there, std::move(b));
  const int64_t replays_before = test::replays();
  for (int64_t i = before; i < 60; ++i) {
    expect_same(decoder_a.logits_BV(), decoder_b.logits_BV());
    const Tensor token_B1 = tokens_Bn.narrow(1, i, 1);
    decoder_a.write(token_B1);
    decoder_b.write(token_B1);
    if (i % 11 != 0) continue;
    expect_same(ttt::next_logits(here, decoder_a.memory()), ttt::next_logits(there, decoder_b.memory()));
    if (fork_b.x_BD.defined()) expect_same(ttt::next_logits(here, fork_a), ttt::next_logits(there, fork_b));
    fork_a = decoder_a.snapshot();
    fork_b = decoder_b.snapshot();
  }
  EXPECT_EQ(test::replays() - replays_before, 60 - before - 2 * runs_anew);
  // What was synced can be read on from, and forks are as they were.
  a = decoder_a.snapshot();
  b = decoder_b.snapshot();
  const Tensor more_Bn = test::random_tokens(here.config, batch, 19, 8);
  for (const auto& [m, n] : {std::pair(&a, &b), std::pair(&fork_a, &fork_b)})
    expect_same(ttt::read(here, *m, more_Bn).nll_Bn, ttt::read(there, *n, more_Bn).nll_Bn);
}

INSTANTIATE_TEST_SUITE_P(Shapes, GraphOfAToken,
                         ::testing::Values(Case{{}, 1, 21, 1}, Case{{}, 2, 3, 2}, Case{{.window = 40}, 2, 2, 4},
                                           Case{{.window = 5}, 1, 8, 1},
                                           Case{{.window = 1, .learned_rates = true}, 2, 9, 1},
                                           Case{{.suffix = 1}, 1, 16, 1}, Case{{.suffix = 3}, 2, 30, 1},
                                           Case{{.layers = 2, .suffix = 0}, 1, 7, 1},
                                           Case{{.window = 5, .full = 2, .full_window = 21}, 2, 2, 3}));

TEST_F(Graph, of_a_token_goes_on_from_a_file_and_from_a_checkpoint) {
  const Network here = test::tiny_model({}), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, 1, 60);
  ttt::Memory a = ttt::empty_memory(here), b = ttt::empty_memory(there);
  ttt::read(here, a, tokens_Bn.narrow(1, 0, 30));
  ttt::read(there, b, tokens_Bn.narrow(1, 0, 10));
  session::Checkpoints checkpoints(1 << 20);
  const auto write = [&](ttt::Memory& m, int64_t end) {
    session::Session session(there, std::move(m), checkpoints);
    while (session.position() < end) session.write(tokens_Bn.narrow(1, session.position(), 1));
    m = session.snapshot();
    checkpoints = session.checkpoints();
  };
  write(b, 30);
  ttt::save_memory(dir_ / "written.memory", there, b, MemoryForm::working);
  ttt::Memory from_file = ttt::load_memory(dir_ / "written.memory", there),
              from_checkpoint = checkpoints.find(24)->fork();
  expect_same(ttt::next_logits(here, a), ttt::next_logits(there, from_file));
  write(b, 50);
  write(from_checkpoint, 50);
  write(from_file, 50);
  ttt::read(here, a, tokens_Bn.narrow(1, 30, 20));
  for (const ttt::Memory* m : {&b, &from_checkpoint, &from_file})
    expect_same(ttt::next_logits(here, a), ttt::next_logits(there, *m));
}

/// What a conversation is made of: its graph is captured once, whatever is read between two answers.
TEST_F(Graph, of_a_token_outlives_what_is_read_in_between) {
  const Network here = test::tiny_model({}), there = this->there(here);
  session::Session a(here, ttt::empty_memory(here)), b(there, ttt::empty_memory(there));
  const int64_t before = test::replays();
  int64_t written = 0;
  for (uint64_t turn = 0; turn < 5; ++turn) {
    const Tensor question_Bn = test::random_tokens(here.config, 1, turn == 3 ? 1 : 21, turn);
    expect_same(a.read(question_Bn).nll_Bn, b.read(question_Bn).nll_Bn);  // a GPU reads up to eight by the graph, too
    written += turn == 3;
    for (uint64_t i = 0; i < 7; ++i, ++written) {
      const Tensor token_B1 = test::random_tokens(here.config, 1, 1, 10 * turn + i);
      expect_same(a.logits_BV(), b.logits_BV());
      a.write(token_B1);
      b.write(token_B1);
    }
  }
  EXPECT_EQ(test::replays() - before, written - 2);
  expect_same(ttt::next_logits(here, a.memory()), ttt::next_logits(there, b.memory()));
}

/// Sequences at positions of their own, of which not all have a token in every step.
TEST_F(Graph, of_a_batch_gives_the_numbers_of_each_session_on_the_cpu) {
  const Network here = test::tiny_model({}), there = this->there(here);
  session::Batch batch(there);
  std::vector<std::unique_ptr<session::Session>> a, b;
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor start_Bn = test::random_tokens(here.config, 1, 15 + 6 * i, 50);
    a.push_back(std::make_unique<session::Session>(here, ttt::empty_memory(here)));
    b.push_back(std::make_unique<session::Session>(there, ttt::empty_memory(there)));
    a.back()->read(start_Bn);
    b.back()->read(start_Bn);
    batch.add(*b.back());
  }
  const ttt::ReadOptions options;
  const int64_t before = test::replays();
  for (uint64_t t = 0; t < 20; ++t) {
    std::vector<session::Batch::Turn> turns;
    for (uint64_t i = 0; i < 3; ++i) {
      expect_same(a[i]->logits_BV(), b[i]->logits_BV());
      if ((t + i) % 4 == 0) continue;
      const Tensor token_B1 = test::random_tokens(here.config, 1, 1, 3 * t + i);
      a[i]->write(token_B1);
      turns.push_back({*b[i], token_B1, options});
    }
    batch.step(turns);
  }
  EXPECT_EQ(test::replays() - before, 20 - 2);
  for (uint64_t i = 0; i < 3; ++i)
    expect_same(ttt::next_logits(here, a[i]->memory()), ttt::next_logits(there, b[i]->memory()));
}

struct Reading {
  test::TinyShape shape;
  int64_t batch;
  std::vector<int64_t> calls;  // tokens of each
};

/// Whole chunks of a call that are one piece of work each: those behind a full window, if enough of them lie ahead.
int64_t repeated_chunks(const ModelConfig& c, int64_t begin, int64_t tokens) {
  const int64_t end = begin + tokens;
  int64_t count = 0, widest = 0;
  for (int64_t i = c.prefix_len() + 1; i < c.num_layers; ++i) widest = std::max(widest, c.layer(i).window);
  for (int64_t q = (begin + c.chunk - 1) / c.chunk * c.chunk; q + c.chunk < end; q += c.chunk)
    if (q >= widest && (count > 0 || end - q >= ttt::ChunkGraph::kWorthwhile * c.chunk)) ++count;
  return count;
}

class GraphOfAChunk : public OtherDevice, public ::testing::WithParamInterface<Reading> {};

TEST_P(GraphOfAChunk, gives_the_numbers_of_the_cpu) {
  const auto& [shape, batch, calls] = GetParam();
  const Network here = test::tiny_model(shape), there = this->there(here);
  ttt::Memory a = ttt::empty_memory(here, batch), b = ttt::empty_memory(there, batch);
  std::vector<Tensor> norms_a, norms_b, losses_a, losses_b;
  const auto options = [](std::vector<Tensor>& norms, std::vector<Tensor>& losses) {
    ttt::ReadOptions out;
    out.prefill = 40;
    out.rate_multiplier = 0.9;
    out.on_step = [&](const ttt::StepReport& step, const ttt::Memory&, const std::vector<Mlp>& g_S) {
      norms.push_back(step.norm_B.clone());
      losses.push_back(step.loss_B + g_S.back().w2_DF.sum({1, 2}));
    };
    return out;
  };
  const auto options_a = options(norms_a, losses_a), options_b = options(norms_b, losses_b);
  for (uint64_t call = 0; call < calls.size(); ++call) {
    const Tensor tokens_Bn =
        test::random_tokens(here.config, batch, calls[call], call);  // among them some that are bos
    const int64_t before = test::replays(), repeated = repeated_chunks(here.config, b.position, calls[call]);
    expect_same(ttt::read(here, a, tokens_Bn, options_a).nll_Bn, ttt::read(there, b, tokens_Bn, options_b).nll_Bn);
    EXPECT_EQ(test::replays() - before, std::max<int64_t>(repeated - 2, 0)) << "call " << call;
  }
  ASSERT_EQ(a.steps, b.steps);
  expect_same(at::stack(norms_a), at::stack(norms_b));
  expect_same(at::stack(losses_a), at::stack(losses_b));
  for (size_t s = 0; s < a.W_S.size(); ++s) expect_same(a.W_S[s].w13_FD, b.W_S[s].w13_FD);
  for (size_t i = 0; i < a.layer_L.size(); ++i) {
    ASSERT_EQ(a.layer_L[i].kv().length(), b.layer_L[i].kv().length());
    if (a.layer_L[i].kv().length() > 0)
      expect_same(a.layer_L[i].kv().last(1000).k_BWGd, b.layer_L[i].kv().last(1000).k_BWGd);
  }
  expect_same(ttt::next_logits(here, a), ttt::next_logits(there, b));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, GraphOfAChunk,
    ::testing::ValuesIn(std::vector<Reading>{
        Reading{{}, 1, {150}}, Reading{{.learned_rates = true}, 2, {5, 100, 1, 2, 93, 7, 64, 65}},
        Reading{{.suffix = 1}, 2, {120, 90}}, Reading{{.suffix = 3}, 1, {3, 130}}, Reading{{.window = 5}, 2, {130, 71}},
        Reading{{.suffix = 3, .window = 1}, 1, {100, 100}}, Reading{{.window = 8}, 1, {100, 100}},
        Reading{{.layers = 4, .suffix = 3, .window = 5, .full = 2, .full_window = 21}, 1, {110, 100}},
        Reading{{.window = 40, .tie = false, .post_norm = false}, 2, {131, 99}}}));

TEST_F(Graph, of_a_chunk_rounds_the_weights_that_it_has_moved) {
  const Network here = test::tiny_model({}, at::kBFloat16), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, 2, 20).repeat({1, 6});  // so that learning shows
  ttt::Memory a = ttt::empty_memory(here, 2), b = ttt::empty_memory(there, 2), c = ttt::empty_memory(here, 2);
  const int64_t before = test::replays();
  const Tensor nll_Bn = ttt::read(there, b, tokens_Bn).nll_Bn.cpu(), expected_Bn = ttt::read(here, a, tokens_Bn).nll_Bn;
  EXPECT_GT(test::replays(), before + 5);
  const auto last = [](const Tensor& x_Bn) { return x_Bn.narrow(1, 80, 40).mean().item<double>(); };
  EXPECT_NEAR(last(nll_Bn), last(expected_Bn), 0.05);
  ttt::ReadOptions without;
  without.learn = false;
  EXPECT_GT(std::abs(last(ttt::read(here, c, tokens_Bn, without).nll_Bn) - last(expected_Bn)), 0.3);
}

TEST_F(Graph, of_a_chunk_is_left_with_a_memory_that_goes_on) {
  const Network here = test::tiny_model({}), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, 1, 200);
  ttt::Memory a = ttt::empty_memory(here), b = ttt::empty_memory(there), fork;
  ttt::ReadOptions options;
  options.prefill = 8;
  options.keep_going = [](int64_t done) { return done < 120; };
  options.on_step = [&](const ttt::StepReport& step, const ttt::Memory& m, const std::vector<Mlp>&) {
    if (step.step == 9) fork = m.fork();
  };
  const int64_t before = test::replays(), read = ttt::read(there, b, tokens_Bn, options).tokens_read;
  EXPECT_GT(test::replays(), before + 5);
  EXPECT_EQ(b.position, read);
  ttt::read(here, a, tokens_Bn.narrow(1, 0, read));
  session::Session decoder_a(here, std::move(a)), decoder_b(there, std::move(b));  // on their way to the next chunk
  for (int64_t i = read; i < read + 20; ++i) {
    decoder_a.write(tokens_Bn.narrow(1, i, 1));
    decoder_b.write(tokens_Bn.narrow(1, i, 1));
    expect_same(decoder_a.logits_BV(), decoder_b.logits_BV());
  }
  ttt::Memory c = ttt::empty_memory(here);
  ttt::read(here, c, tokens_Bn.narrow(1, 0, 81));
  for (size_t s = 0; s < c.W_S.size(); ++s) expect_same(c.W_S[s].w2_DF, fork.W_S[s].w2_DF);
}

TEST_F(Graph, of_a_chunk_leaves_a_whole_memory_when_the_caller_throws) {
  const Network here = test::tiny_model({}), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, 2, 200);
  ttt::Memory a = ttt::empty_memory(here, 2), b = ttt::empty_memory(there, 2);
  ttt::ReadOptions options;
  options.prefill = here.config.chunk;
  options.on_step = [](const ttt::StepReport& step, const ttt::Memory&, const std::vector<Mlp>&) {
    if (step.step == 12) throw std::runtime_error("enough");
  };
  const int64_t before = test::replays();
  EXPECT_THROW(ttt::read(there, b, tokens_Bn, options), std::runtime_error);
  EXPECT_GT(test::replays(), before + 5);
  ttt::read(here, a, tokens_Bn.narrow(1, 0, b.position));
  ASSERT_LT(b.position, 160);
  const Tensor more_Bn = tokens_Bn.narrow(1, b.position, 40);
  expect_same(ttt::read(here, a, more_Bn).nll_Bn, ttt::read(there, b, more_Bn).nll_Bn);
  for (size_t s = 0; s < a.W_S.size(); ++s) expect_same(a.W_S[s].w13_FD, b.W_S[s].w13_FD);
  expect_same(a.layer_L.back().kv().last(here.config.window - 1).v_BWGd,
              b.layer_L.back().kv().last(here.config.window - 1).v_BWGd);
}

}  // namespace
}  // namespace ingrain
