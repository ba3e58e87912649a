// Mamba-2's recurrence: its two forms are one, with its gradients, and what is refused.
#include "ops_refusals.h"

#include "ops/autograd.h"
#include "ops/backend.h"
#include "ops/checks.h"
#include "ops/graph/graph.h"
#include "ops/ssd/ssd.h"

namespace ingrain::test {
namespace {

struct SsdCase : ops::SsdInputs {
  explicit SsdCase(at::ScalarType type) : SsdCase(2, 5, 4, 2, 3, 6, type) {}
  SsdCase(int64_t B, int64_t T, int64_t H, int64_t G, int64_t K, int64_t V, at::ScalarType type = at::kDouble,
          double decay = 1) {
    at::manual_seed(5);
    const auto random = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); };
    const auto wide = ops::accumulate_type(type);
    x_BTHV = random({B, T, H, V}).to(type);
    dt_BTH = random({B, T, H}).exp().to(wide);
    A_H = (-decay * random({H}).exp()).to(wide);
    b_BTGK = random({B, T, G, K}).to(type);
    c_BTGK = random({B, T, G, K}).to(type);
    D_H = random({H}).to(wide);
    state_BHKV = random({B, H, K, V}).to(wide);
  }
  std::vector<Tensor*> all() { return {&x_BTHV, &dt_BTH, &A_H, &b_BTGK, &c_BTGK, &D_H, &state_BHKV}; }
  SsdCase part(int64_t first, int64_t count, const Tensor& from) const {
    SsdCase out = *this;
    for (Tensor* x : {&out.x_BTHV, &out.dt_BTH, &out.b_BTGK, &out.c_BTGK}) *x = x->narrow(1, first, count);
    out.state_BHKV = from;
    return out;
  }
  ops::Ssd run() const { return ops::ssd(*this); }
  /// One token after another, in place of a copy of the state.
  ops::Ssd in_place() const {
    SsdCase on_copy = *this;
    on_copy.state_BHKV = state_BHKV.clone();
    const Tensor y = ops::ssd_in_place(on_copy);
    return {y, on_copy.state_BHKV};
  }
  /// By definition.
  ops::Ssd one_by_one() const {
    Tensor S = state_BHKV;
    std::vector<Tensor> y_T;
    const int64_t heads_of_group = x_BTHV.size(2) / b_BTGK.size(2);
    for (int64_t t = 0; t < x_BTHV.size(1); ++t) {
      const Tensor x = x_BTHV.select(1, t), dt = dt_BTH.select(1, t);
      const Tensor b = b_BTGK.select(1, t).repeat_interleave(heads_of_group, 1);
      const Tensor c = c_BTGK.select(1, t).repeat_interleave(heads_of_group, 1);
      S = at::einsum("bhkv,bh->bhkv", {S, (dt * A_H).exp()}) + at::einsum("bh,bhk,bhv->bhkv", {dt, b, x});
      y_T.push_back(at::einsum("bhkv,bhk->bhv", {S, c}) + at::einsum("h,bhv->bhv", {D_H, x}));
    }
    return {at::stack(y_T, 1), S};
  }
};

double farthest(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}
void expect_same(const ops::Ssd& a, const ops::Ssd& b, double most) {
  EXPECT_LT(farthest(a.y_BTHV, b.y_BTHV), most);
  EXPECT_LT(farthest(a.state_BHKV, b.state_BHKV), most);
}

TEST(Ssd, in_chunks_and_one_token_after_another_are_the_same) {
  for (const double decay : {1e-3, 0.3, 30.0})
    for (const int64_t T : {1, 7, 8, 63, 64, 65, 200}) {
      SCOPED_TRACE(testing::Message() << T << " tokens, decay " << decay);
      const SsdCase in(2, T, 6, 2, 8, 5, at::kDouble, decay);
      const ops::Ssd expected = in.one_by_one();
      expect_same(in.run(), expected, 1e-10);
      expect_same(in.in_place(), expected, 1e-10);
    }
}

TEST(Ssd, reading_in_any_split_gives_the_same_state) {
  const SsdCase in(1, 150, 2, 1, 8, 16);
  const ops::Ssd whole = in.run();
  for (const int64_t first : {1, 30, 64, 149}) {
    const auto before = in.part(0, first, in.state_BHKV).run();
    const auto after = in.part(first, 150 - first, before.state_BHKV).run();
    expect_same({at::cat({before.y_BTHV, after.y_BTHV}, 1), after.state_BHKV}, whole, 1e-10);
  }
  SsdCase fresh = in, zeros = in;
  fresh.state_BHKV = Tensor();
  zeros.state_BHKV = at::zeros_like(in.state_BHKV);
  expect_same(fresh.run(), zeros.run(), 1e-300);
}

TEST(Ssd, gradients_are_those_of_the_recurrence) {
  for (const double decay : {0.1, 5.0}) {
    SsdCase in(2, 70, 4, 2, 6, 5, at::kDouble, decay);
    std::vector<Tensor> leaves;
    for (Tensor* x : in.all()) leaves.push_back(x->requires_grad_());
    const Tensor of_y = at::randn_like(in.x_BTHV), of_state = at::randn_like(in.state_BHKV);
    const auto gradients = [&](const ops::Ssd& y) {
      return ops::gradients({(y.y_BTHV * of_y).sum() + (y.state_BHKV * of_state).sum()}, leaves);
    };
    const auto ours = gradients(in.run()), expected = gradients(in.one_by_one());
    for (size_t i = 0; i < leaves.size(); ++i)
      EXPECT_LT(farthest(ours[i], expected[i]), 1e-10 * (1 + expected[i].abs().max().item<double>())) << "input " << i;
  }
}

/// Differences of sums in fp32 would be off by a hundredth beside a forgetting of this size.
TEST(Ssd, in_fp32_chunks_after_a_token_that_forgets_all_are_exact) {
  SsdCase in(1, 130, 2, 1, 8, 4, at::kFloat, 1e-2);
  in.dt_BTH.clamp_(0, 2).select(1, 70).fill_(1e7);
  in.x_BTHV.select(1, 70).mul_(1e-7);
  const ops::Ssd ours = in.run();
  for (Tensor* x : in.all()) *x = x->to(at::kDouble);
  expect_same(ours, in.one_by_one(), 1e-4);
  SsdCase learned(1, 130, 2, 1, 4, 4, at::kFloat);
  learned.dt_BTH.fill_(1e5);
  for (Tensor* x : learned.all()) x->requires_grad_();
  const auto y = learned.run();
  EXPECT_TRUE(y.y_BTHV.isfinite().all().item<bool>());
  for (const Tensor& g :
       ops::gradients({y.y_BTHV.sum() + y.state_BHKV.sum()}, {learned.x_BTHV, learned.dt_BTH, learned.A_H}))
    EXPECT_TRUE(g.isfinite().all().item<bool>());
}

TEST(Ssd, kernels_equal_the_reference) {
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (const int64_t V : {1, 5, 64, 131}) {
      const SsdCase in(2, 9, 6, 2, 33, V, type);
      const ops::Ssd ours = in.in_place();
      const ops::ReferenceScope scope;
      const ops::Ssd reference = in.in_place();
      EXPECT_TRUE(ours.y_BTHV.allclose(reference.y_BTHV, type == at::kFloat ? 1e-4 : 1e-2, 1e-4)) << type << " " << V;
      EXPECT_TRUE(ours.state_BHKV.allclose(reference.state_BHKV, 1e-4, 1e-5)) << type << " " << V;
    }
}

TEST(Ssd, of_a_token_is_captured) {
  const SsdCase in(1, 1, 2, 1, 8, 8, at::kFloat);
  SsdCase ours = in, expected = in;
  ours.state_BHKV = in.state_BHKV.clone(), expected.state_BHKV = in.state_BHKV.clone();
  ops::Graph graph(at::kCPU);
  for (int run = 0; run < 3; ++run) {
    graph.run([&] { ops::ssd_in_place(ours); });
    ops::ssd_in_place(expected);
    EXPECT_TRUE(ours.state_BHKV.equal(expected.state_BHKV)) << "run " << run;
  }
  EXPECT_TRUE(graph.captured()) << graph.refusal();
}

TEST(Refused, ssd) {
  expect_refused<SsdCase>({
      {"fewer tokens of b", [](auto& in) { in.b_BTGK = in.b_BTGK.narrow(1, 0, 4); }},
      {"c of another width", [](auto& in) { in.c_BTGK = in.c_BTGK.narrow(3, 0, 2); }},
      {"groups that do not divide the heads",
       [](auto& in) {
         in.b_BTGK = at::cat({in.b_BTGK, in.b_BTGK.narrow(2, 0, 1)}, 2);
         in.c_BTGK = at::cat({in.c_BTGK, in.c_BTGK.narrow(2, 0, 1)}, 2);
       }},
      {"no groups", [](auto& in) { in.b_BTGK = in.b_BTGK.narrow(2, 0, 0), in.c_BTGK = in.c_BTGK.narrow(2, 0, 0); }},
      {"another type", [](auto& in) { in.x_BTHV = in.x_BTHV.to(at::kHalf); }},
      {"time steps of fewer heads", [](auto& in) { in.dt_BTH = in.dt_BTH.narrow(2, 0, 2); }},
      {"time steps in half precision", [](auto& in) { in.dt_BTH = in.dt_BTH.to(at::kHalf); }},
      {"A for fewer heads", [](auto& in) { in.A_H = in.A_H.narrow(0, 0, 2); }},
      {"D in half precision", [](auto& in) { in.D_H = in.D_H.to(at::kHalf); }},
      {"a state of another width", [](auto& in) { in.state_BHKV = in.state_BHKV.narrow(3, 0, 5); }},
      {"a state in half precision", [](auto& in) { in.state_BHKV = in.state_BHKV.to(at::kHalf); }},
  });
}

}  // namespace
}  // namespace ingrain::test
