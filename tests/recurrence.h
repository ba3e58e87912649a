// What every recurrence over a state must be, whose operation has a form for chunks of tokens and one that takes them
// one after another in place (src/ops/{gated_delta,ssd,erase_write}/test.cpp).
//
// A Case holds an operation's inputs:
//   Case(Recurrence)           random ones
//   of_tokens(), of_all()      pointers to its tensors: those that have tokens for their axis 1, and all of them
//   state()                    the state before, a reference
//   run()                      the operation: Recurred
//   in_place()                 the recurrent one, on its own state: the outputs
//   one_by_one()               by definition: Recurred
//   forget_all(first, count)   makes tokens forget what was before them, as far as numbers go
#pragma once

#include "ops/autograd.h"
#include "ops/backend.h"
#include "ops/graph/graph.h"

#include <gtest/gtest.h>

namespace ingrain::test {

struct Recurrence {
  int64_t batch = 2, tokens = 5, values = 6, keys = 8;  // numbers of a head
  at::ScalarType type = at::kDouble;
  double decay = 1;
};

/// How near two forms of one recurrence are: numbers, gradients (of which `relative` as large as they are), kernels in
/// fp32 and bf16 to the reference, beside 1e-4 and 1e-2 of a number's size.
struct Nearness {
  double forms = 1e-10, gradients = 1e-10, relative = 1, kernels = 1e-4;
};

struct Recurred {
  Tensor y, state;
};

inline double farthest(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}
inline void expect_same(const Recurred& a, const Recurred& b, double most) {
  EXPECT_LT(farthest(a.y, b.y), most);
  EXPECT_LT(farthest(a.state, b.state), most);
}

/// `count` of its tokens, going on from a state.
template <class Case>
Case part_of(const Case& in, int64_t first, int64_t count, const Tensor& from) {
  Case out = in;
  for (Tensor* x : out.of_tokens()) *x = x->narrow(1, first, count);
  out.state() = from;
  return out;
}

template <class Case>
Recurred in_place_on_a_copy(const Case& in) {
  Case copy = in;
  copy.state() = copy.state().clone();
  const Tensor y = copy.in_place();
  return {y, copy.state()};
}

template <class Case>
void expect_two_forms_of_one_recurrence(const Nearness& near = {}) {
  for (const double decay : {1e-3, 0.3, 30.0})
    for (const int64_t T : {1, 7, 8, 63, 64, 65, 200}) {
      SCOPED_TRACE(testing::Message() << T << " tokens, decay " << decay);
      const Case in(Recurrence{.tokens = T, .values = 5, .decay = decay});
      const Recurred expected = in.one_by_one();
      expect_same(in.run(), expected, near.forms);
      expect_same(in_place_on_a_copy(in), expected, near.forms);
    }
}

template <class Case>
void expect_the_same_state_after_any_split(const Nearness& near = {}) {
  const Case in(Recurrence{.batch = 1, .tokens = 150});
  const Recurred whole = in.run();
  for (const int64_t first : {1, 30, 64, 149}) {
    const Recurred before = part_of(in, 0, first, Case(in).state()).run();
    const Recurred after = part_of(in, first, 150 - first, before.state).run();
    expect_same({at::cat({before.y, after.y}, 1), after.state}, whole, near.forms);
  }
  Case fresh = in, zeros = in;
  zeros.state() = at::zeros_like(fresh.state());
  fresh.state() = Tensor();
  expect_same(fresh.run(), zeros.run(), 1e-300);
}

template <class Case>
void expect_gradients_of_the_recurrence(const Nearness& near = {}) {
  for (const double decay : {0.1, 5.0}) {
    Case in(Recurrence{.tokens = 70, .values = 5, .decay = decay});
    std::vector<Tensor> leaves;
    for (Tensor* x : in.of_all()) leaves.push_back(x->requires_grad_());
    const Recurred ours = in.run(), theirs = in.one_by_one();
    const Tensor of_y = at::randn_like(theirs.y), of_state = at::randn_like(theirs.state);
    const auto gradients = [&](const Recurred& out) {
      return ops::gradients({(out.y * of_y).sum() + (out.state * of_state).sum()}, leaves);
    };
    const auto g = gradients(ours), expected = gradients(theirs);
    for (size_t i = 0; i < leaves.size(); ++i)
      EXPECT_LT(farthest(g[i], expected[i]),
                near.gradients * (1 + near.relative * expected[i].abs().max().template item<double>()))
          << "input " << i << ", decay " << decay;
  }
}

/// Differences of sums in fp32 would be off by a hundredth beside a forgetting of this size.
template <class Case>
void expect_exact_fp32_chunks_after_a_token_that_forgets_all() {
  Case in(Recurrence{.batch = 1, .tokens = 130, .values = 4, .type = at::kFloat, .decay = 1e-2});
  in.forget_all(70, 1);
  const Recurred ours = in.run();
  for (Tensor* x : in.of_all()) *x = x->to(at::kDouble);
  expect_same(ours, in.one_by_one(), 1e-4);
}

template <class Case>
void expect_finite_gradients_where_all_is_forgotten() {
  Case in(Recurrence{.batch = 1, .tokens = 130, .values = 4, .type = at::kFloat});
  in.forget_all(0, 130);
  std::vector<Tensor> leaves;
  for (Tensor* x : in.of_all()) leaves.push_back(x->requires_grad_());
  const Recurred out = in.run();
  EXPECT_TRUE(out.y.isfinite().all().template item<bool>());
  for (const Tensor& g : ops::gradients({out.y.sum() + out.state.sum()}, leaves))
    EXPECT_TRUE(g.isfinite().all().template item<bool>());
}

template <class Case>
void expect_kernels_like_the_reference(const Nearness& near = {}) {
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (const int64_t V : {1, 5, 64, 131}) {
      const Case in(Recurrence{.tokens = 9, .values = V, .keys = 33, .type = type});
      const Recurred ours = in_place_on_a_copy(in);
      const ops::ReferenceScope scope;
      const Recurred reference = in_place_on_a_copy(in);
      EXPECT_TRUE(ours.y.allclose(reference.y, type == at::kFloat ? 1e-4 : 1e-2, near.kernels)) << type << " " << V;
      EXPECT_TRUE(ours.state.allclose(reference.state, 1e-4, 1e-5)) << type << " " << V;
    }
}

template <class Case>
void expect_a_token_captured() {
  const Case in(Recurrence{.batch = 1, .tokens = 1, .values = 8, .type = at::kFloat});
  Case ours = in, expected = in;
  ours.state() = ours.state().clone(), expected.state() = expected.state().clone();
  ops::Graph graph(at::kCPU);
  for (int run = 0; run < 3; ++run) {
    graph.run([&] { ours.in_place(); });
    expected.in_place();
    EXPECT_TRUE(ours.state().equal(expected.state())) << "run " << run;
  }
  EXPECT_TRUE(graph.captured()) << graph.refusal();
}

}  // namespace ingrain::test
