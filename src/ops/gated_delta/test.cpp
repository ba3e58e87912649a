// The gated delta rule: its two forms are one recurrence, with its gradients, and what is refused.
#include "ops_refusals.h"

#include "ops/autograd.h"
#include "ops/backend.h"
#include "ops/checks.h"
#include "ops/gated_delta/gated_delta.h"
#include "ops/graph/graph.h"

namespace ingrain::test {
namespace {

struct DeltaInputs {
  Tensor q, k, v, g, beta, state;
  explicit DeltaInputs(at::ScalarType type) : DeltaInputs(2, 5, 3, 4, 6, type) {}
  DeltaInputs(int64_t B, int64_t T, int64_t H, int64_t K, int64_t V, at::ScalarType type = at::kDouble,
              double decay = 1) {
    at::manual_seed(5);
    const auto random = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); };
    const auto unit = [](const Tensor& x) { return x / x.norm(2, {-1}, true); };
    const auto wide = ops::accumulate_type(type);
    q = unit(random({B, T, H, K})).to(type);
    k = unit(random({B, T, H, K})).to(type);
    v = random({B, T, H, V}).to(type);
    g = (-decay * random({B, T, H}).exp()).to(wide);
    beta = random({B, T, H}).sigmoid().to(wide);
    state = random({B, H, K, V}).to(wide);
  }
  std::vector<Tensor*> all() { return {&q, &k, &v, &g, &beta, &state}; }
  DeltaInputs part(int64_t first, int64_t count, const Tensor& from) const {
    DeltaInputs out = *this;
    for (Tensor* x : {&out.q, &out.k, &out.v, &out.g, &out.beta}) *x = x->narrow(1, first, count);
    out.state = from;
    return out;
  }
  ops::GatedDelta run() const { return ops::gated_delta(q, k, v, g, beta, state, 0.5); }
  /// One token after another, by definition.
  ops::GatedDelta one_by_one() const {
    Tensor S = state;
    std::vector<Tensor> o_T;
    for (int64_t t = 0; t < q.size(1); ++t) {
      const auto at = [&](const Tensor& x) { return x.select(1, t); };
      S = S * at(g).exp().unsqueeze(-1).unsqueeze(-1);
      const Tensor u = at(beta).unsqueeze(-1) * (at(v) - at::einsum("bhkv,bhk->bhv", {S, at(k)}));
      S = S + at::einsum("bhk,bhv->bhkv", {at(k), u});
      o_T.push_back(0.5 * at::einsum("bhkv,bhk->bhv", {S, at(q)}));
    }
    return {at::stack(o_T, 1), S};
  }
};

void expect_near(const ops::GatedDelta& a, const ops::GatedDelta& b, double most) {
  EXPECT_LT((a.o_BTHV.to(at::kDouble) - b.o_BTHV.to(at::kDouble)).abs().max().item<double>(), most);
  EXPECT_LT((a.state_BHKV.to(at::kDouble) - b.state_BHKV.to(at::kDouble)).abs().max().item<double>(), most);
}

TEST(GatedDelta, in_chunks_and_one_token_after_another_are_the_same) {
  for (const double decay : {1e-3, 0.3, 30.0})
    for (const int64_t T : {1, 7, 8, 63, 64, 65, 200}) {
      SCOPED_TRACE(testing::Message() << T << " tokens, decay " << decay);
      const DeltaInputs in(2, T, 3, 8, 5, at::kDouble, decay);
      const ops::GatedDelta expected = in.one_by_one();
      expect_near(in.run(), expected, 1e-11);
      const Tensor S = in.state.clone();
      const Tensor o = ops::gated_delta_in_place(in.q, in.k, in.v, in.g, in.beta, S, 0.5);
      expect_near({o, S}, expected, 1e-11);
    }
}

TEST(GatedDelta, reading_in_any_split_gives_the_same_state) {
  const DeltaInputs in(1, 150, 2, 8, 16);
  const ops::GatedDelta whole = in.run();
  for (const int64_t first : {1, 30, 64, 149}) {
    const auto before = in.part(0, first, in.state).run();
    const auto after = in.part(first, 150 - first, before.state_BHKV).run();
    expect_near({at::cat({before.o_BTHV, after.o_BTHV}, 1), after.state_BHKV}, whole, 1e-11);
  }
  DeltaInputs fresh = in, zeros = in;
  fresh.state = Tensor();
  zeros.state = at::zeros_like(in.state);
  expect_near(fresh.run(), zeros.run(), 1e-300);
}

TEST(GatedDelta, gradients_are_those_of_the_recurrence) {
  for (const double decay : {0.1, 5.0}) {
    DeltaInputs in(2, 70, 2, 6, 5, at::kDouble, decay);
    std::vector<Tensor> leaves;
    for (Tensor* x : in.all()) leaves.push_back(x->requires_grad_());
    const Tensor of_o = at::randn_like(in.v), of_state = at::randn_like(in.state);
    const auto gradients = [&](const ops::GatedDelta& y) {
      return ops::gradients({(y.o_BTHV * of_o).sum() + (y.state_BHKV * of_state).sum()}, leaves);
    };
    const auto ours = gradients(in.run()), expected = gradients(in.one_by_one());
    for (size_t i = 0; i < leaves.size(); ++i)
      EXPECT_LT((ours[i] - expected[i]).abs().max().item<double>(), 1e-10) << "input " << i;
  }
}

TEST(GatedDelta, a_gate_that_forgets_all_leaves_finite_numbers_and_gradients) {
  DeltaInputs in(1, 130, 2, 4, 4, at::kFloat);
  in.g.fill_(-1e5);
  for (Tensor* x : in.all()) x->requires_grad_();
  const auto y = in.run();
  EXPECT_TRUE(y.o_BTHV.isfinite().all().item<bool>());
  for (const Tensor& g : ops::gradients({y.o_BTHV.sum() + y.state_BHKV.sum()}, {in.q, in.k, in.v, in.g, in.beta}))
    EXPECT_TRUE(g.isfinite().all().item<bool>());
}

TEST(GatedDelta, kernels_equal_the_reference) {
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (const int64_t V : {1, 5, 64, 131}) {
      const DeltaInputs in(2, 9, 3, 33, V, type);
      const Tensor ours_S = in.state.clone(), reference_S = in.state.clone();
      const Tensor ours = ops::gated_delta_in_place(in.q, in.k, in.v, in.g, in.beta, ours_S, 0.5);
      const ops::ReferenceScope scope;
      const Tensor reference = ops::gated_delta_in_place(in.q, in.k, in.v, in.g, in.beta, reference_S, 0.5);
      EXPECT_TRUE(ours.allclose(reference, type == at::kFloat ? 1e-4 : 1e-2, 1e-5)) << type << " " << V;
      EXPECT_TRUE(ours_S.allclose(reference_S, 1e-4, 1e-5)) << type << " " << V;
    }
}

TEST(GatedDelta, of_a_token_is_captured) {
  const DeltaInputs in(1, 1, 2, 8, 8, at::kFloat);
  const Tensor S = in.state.clone(), expected_S = in.state.clone();
  ops::Graph graph(at::kCPU);
  for (int run = 0; run < 3; ++run) {
    graph.run([&] { ops::gated_delta_in_place(in.q, in.k, in.v, in.g, in.beta, S, 0.5); });
    ops::gated_delta_in_place(in.q, in.k, in.v, in.g, in.beta, expected_S, 0.5);
    EXPECT_TRUE(S.equal(expected_S)) << "run " << run;
  }
  EXPECT_TRUE(graph.captured()) << graph.refusal();
}

TEST(Refused, gated_delta) {
  expect_refused<DeltaInputs>({
      {"fewer keys", [](auto& in) { in.k = in.k.narrow(1, 0, 4); }},
      {"values of other heads", [](auto& in) { in.v = in.v.narrow(2, 0, 2); }},
      {"another type", [](auto& in) { in.v = in.v.to(at::kHalf); }},
      {"a gate of fewer heads", [](auto& in) { in.g = in.g.narrow(2, 0, 2); }},
      {"a gate in half precision", [](auto& in) { in.beta = in.beta.to(at::kHalf); }},
      {"a state of another width", [](auto& in) { in.state = in.state.narrow(3, 0, 5); }},
      {"a state in half precision", [](auto& in) { in.state = in.state.to(at::kHalf); }},
      {"planes", [](auto& in) { in.q = in.q.unsqueeze(0), in.k = in.k.unsqueeze(0), in.v = in.v.unsqueeze(0); }},
  });
}

}  // namespace
}  // namespace ingrain::test
