// What runs as a CUDA graph on a GPU gives the CPU's numbers when it is replayed. The graph is acted out by recorder.h.
#include "ops/repeated.h"
#include "other_device/recorder.h"
#include "other_device/there.h"
#include "ttt/decoder.h"
#include "ttt/memory_file.h"

#include <torch/csrc/autograd/autograd.h>

namespace ingrain {
namespace {

using test::kOther;
using test::OtherDevice;

class Graph : public OtherDevice {
 protected:
  const at::TensorOptions options_ = at::TensorOptions(kOther).dtype(at::kDouble);
  ops::Repeated repeated_{kOther};
};

TEST_F(Graph, replays_what_the_second_run_did_on_the_tensors_of_then) {
  Tensor x = at::ones({3}, options_), y = at::zeros({3}, options_), result;
  const Tensor first = x;
  const auto work = [&] {
    const at::AutoGradMode grad(true);
    const Tensor leaf = x.detach().requires_grad_();
    y.copy_(torch::autograd::grad({(leaf * leaf * leaf).sum()}, {leaf})[0]);  // in the backward's own thread
    result = y.index_select(0, at::arange(2, options_.dtype(at::kLong))) + 1;
  };
  const int64_t before = test::replays();
  for (int64_t i = 1; i <= 5; ++i) {
    x.fill_(i);
    repeated_.run(work);
    expect_same(at::full({3}, 3.0 * i * i, at::kDouble), y);
    expect_same(at::full({2}, 3.0 * i * i + 1, at::kDouble), result);
  }
  EXPECT_EQ(test::replays(), before + 3);
  x = at::full({3}, 7, options_);  // a graph does not know of it
  repeated_.run(work);
  expect_same(at::full({3}, 75, at::kDouble), y);
  repeated_.forget();
  repeated_.run(work);
  expect_same(at::full({3}, 147, at::kDouble), y);
}

TEST_F(Graph, keeps_a_number_that_the_host_counts) {
  const Tensor x = at::zeros({1}, options_);
  int64_t count = 0;
  for (int64_t i = 0; i < 4; ++i) repeated_.run([&] { x.add_(count++); });
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
    repeated_.forget();
    EXPECT_NO_THROW(repeated_.run(work));
    EXPECT_THROW(repeated_.run(work), c10::Error);
    EXPECT_THROW(repeated_.run(work), c10::Error) << "it was not recorded";
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
  const int64_t chunk = here.config.chunk;
  const Tensor tokens_Bn = test::random_tokens(here.config, batch, 60);
  ttt::Memory a = ttt::empty_memory(here, batch), b = ttt::empty_memory(there, batch), fork_a, fork_b;
  ttt::read(here, a, tokens_Bn.narrow(1, 0, before));
  ttt::read(there, b, tokens_Bn.narrow(1, 0, before));
  ttt::BoundaryRing none_a, none_b;
  ttt::Decoder decoder_a(here, a, none_a, {}), decoder_b(there, b, none_b, {});
  const int64_t replays_before = test::replays();
  int64_t runs = 0;
  for (int64_t i = before; i < 60; ++i) {
    expect_same(decoder_a.logits_BV(), decoder_b.logits_BV());
    const Tensor token_B1 = tokens_Bn.narrow(1, i, 1);
    decoder_a.read(token_B1);
    decoder_b.read(token_B1);
    if (shape.suffix == 0 || i % chunk != 0) ++runs;  // the token after a chunk is read by the ordinary path, which makes the step
    if (i % 11 != 0) continue;
    decoder_a.sync();
    decoder_b.sync();
    expect_same(ttt::next_logits(here, a), ttt::next_logits(there, b));
    if (fork_b.x_BD.defined()) expect_same(ttt::next_logits(here, fork_a), ttt::next_logits(there, fork_b));
    fork_a = a.fork();
    fork_b = b.fork();
  }
  EXPECT_EQ(test::replays() - replays_before, runs - 2 * runs_anew);
  // What was synced can be read on from, and forks are as they were.
  decoder_a.sync();
  decoder_b.sync();
  const Tensor more_Bn = test::random_tokens(here.config, batch, 19, 8);
  for (const auto& [m, n] : {std::pair(&a, &b), std::pair(&fork_a, &fork_b)})
    expect_same(ttt::read(here, *m, more_Bn).nll_Bn, ttt::read(there, *n, more_Bn).nll_Bn);
}

INSTANTIATE_TEST_SUITE_P(Shapes, GraphOfAToken,
                         ::testing::Values(Case{{}, 1, 21, 1}, Case{{}, 2, 3, 2}, Case{{.window = 40}, 2, 2, 4}, Case{{.window = 5}, 1, 8, 1},
                                           Case{{.window = 1, .learned_rates = true}, 2, 9, 1}, Case{{.suffix = 1}, 1, 16, 1},
                                           Case{{.suffix = 3}, 2, 30, 1}, Case{{.layers = 2, .suffix = 0}, 1, 7, 1}));

TEST_F(Graph, of_a_token_goes_on_from_a_file_and_from_a_boundary) {
  const Network here = test::tiny_model({}), there = this->there(here);
  const Tensor tokens_Bn = test::random_tokens(here.config, 1, 60);
  ttt::Memory a = ttt::empty_memory(here), b = ttt::empty_memory(there);
  ttt::read(here, a, tokens_Bn.narrow(1, 0, 30));
  ttt::read(there, b, tokens_Bn.narrow(1, 0, 10));
  ttt::BoundaryRing boundaries(1 << 20), none;
  const auto write = [&](ttt::Memory& m, int64_t end) {
    ttt::Decoder decoder(there, m, boundaries, {});
    while (m.position < end) {
      for (int64_t i = m.position; i < end; ++i) decoder.read(tokens_Bn.narrow(1, i, 1));
      decoder.sync();
    }
  };
  write(b, 30);
  ttt::save_memory(dir_ / "written.memory", there, b, MemoryForm::working);
  ttt::Memory from_file = ttt::load_memory(dir_ / "written.memory", there), from_boundary = boundaries.find(24)->fork();
  expect_same(ttt::next_logits(here, a), ttt::next_logits(there, from_file));
  write(b, 50);
  write(from_boundary, 50);
  write(from_file, 50);
  ttt::read(here, a, tokens_Bn.narrow(1, 30, 20));
  for (const ttt::Memory* m : {&b, &from_boundary, &from_file}) expect_same(ttt::next_logits(here, a), ttt::next_logits(there, *m));
}

}  // namespace
}  // namespace ingrain
