// Key-value binding: its dual and its primal form are gradient descent on the loss that its header says, by mini-batch,
// with their gradients; and what is refused.
#include "ops_refusals.h"
#include "recurrence.h"

#include "ops/checks.h"
#include "ops/graph/captured.h"
#include "ops/kv_binding/kv_binding.h"

namespace ingrain::test {
namespace {

constexpr int64_t kHeads = 2, kMiniBatch = 6, kInner = 5;

/// The state as one tensor [B, numbers], as the shared properties take it.
struct BindingCase {
  ops::KvBindingInputs in;
  Tensor flat;

  explicit BindingCase(at::ScalarType type) : BindingCase(Recurrence{.type = type}) {}
  /// "decay": how fast it learns.
  explicit BindingCase(const Recurrence& r) {
    const int64_t d = r.values + r.values % 2;
    at::manual_seed(5);
    const auto wide = ops::accumulate_type(r.type);
    const auto random = [](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); };
    for (Tensor* x : {&in.q_BTHd, &in.k_BTHd, &in.v_BTHd}) *x = random({r.batch, r.tokens, kHeads, d}).to(r.type);
    in.rate_BTH = (std::min(r.decay, 1.0) * at::rand({r.batch, r.tokens, kHeads}, at::kDouble)).to(wide);
    in.place_rate_C = (1 / at::arange(1, kMiniBatch + 1, at::kDouble)).to(wide);
    in.W1_HdF = (0.5 * random({kHeads, d, kInner})).to(wide);
    in.b1_HF = (0.5 * random({kHeads, kInner})).to(wide);
    in.W2_HFd = (0.5 * random({kHeads, kInner, d})).to(wide);
    in.b2_Hd = (0.5 * random({kHeads, d})).to(wide);
    in.norm_H2d = (0.3 * random({kHeads, 2, d})).to(wide);
    // Of some text's begin, as two mini-batches and a half have left it.
    ops::KvBindingInputs before = in;
    const int64_t T = 2 * kMiniBatch + 2;
    for (Tensor* x : {&before.q_BTHd, &before.k_BTHd, &before.v_BTHd}) *x = random({r.batch, T, kHeads, d}).to(r.type);
    before.rate_BTH = at::full({r.batch, T, kHeads}, 0.3, before.rate_BTH.options());
    flat = flattened(ops::kv_binding_by_token(before).state);
  }
  static Tensor flattened(const std::vector<Tensor>& state) {
    std::vector<Tensor> flat;
    for (const Tensor& x : state) flat.push_back(x.flatten(1));
    return at::cat(flat, 1);
  }
  ops::KvBindingInputs inputs() const {
    ops::KvBindingInputs out = in;
    int64_t first = 0;
    for (int i = 0; flat.defined() && i < 9; ++i) {
      std::vector<int64_t> sizes{flat.size(0), 1};
      if (i < 8)
        sizes = (std::vector{in.W1_HdF, in.b1_HF, in.W2_HFd, in.b2_Hd})[static_cast<size_t>(i % 4)].sizes().vec();
      if (i < 8) sizes.insert(sizes.begin(), flat.size(0));
      int64_t numbers = 1;
      for (size_t axis = 1; axis < sizes.size(); ++axis) numbers *= sizes[axis];
      out.state.push_back(flat.narrow(1, first, numbers).view(sizes));
      first += numbers;
    }
    return out;
  }

  std::vector<Tensor*> of_tokens() { return {&in.q_BTHd, &in.k_BTHd, &in.v_BTHd, &in.rate_BTH}; }
  std::vector<Tensor*> of_all() {
    return {&in.q_BTHd, &in.k_BTHd, &in.v_BTHd,   &in.rate_BTH, &in.place_rate_C, &in.W1_HdF, &in.b1_HF,
            &in.W2_HFd, &in.b2_Hd,  &in.norm_H2d, &flat};
  }
  Tensor& state() { return flat; }
  Recurred run() const {
    const auto out = ops::kv_binding(inputs());
    return {out.o_BTHd, flattened(out.state)};
  }
  Tensor in_place() const {
    const auto out = ops::kv_binding_by_token(inputs());
    ops::captured([flat = flat, state = out.state] { flat.copy_(flattened(state)); });
    return out.o_BTHd;
  }
  Recurred one_by_one() const;
};

/// The loss and its gradient as the page says them, by autograd.
struct InnerModel {
  std::vector<Tensor> W;  // W1 [B, H, d, F], b1, W2, b2
  const ops::KvBindingInputs& in;

  /// x: [B, H, d].
  static Tensor f(const std::vector<Tensor>& W, const ops::KvBindingInputs& in, const Tensor& x) {
    const Tensor hidden = at::gelu(at::einsum("bhd,bhdf->bhf", {x, W[0]}) + W[1], "tanh");
    const Tensor z = at::einsum("bhf,bhfd->bhd", {hidden, W[2]}) + W[3];
    const Tensor unit = (z - z.mean(-1, true)) / (z.var(at::IntArrayRef{-1}, /*unbiased=*/false, true) + 1e-6).sqrt();
    return unit * in.norm_H2d.select(1, 0) + in.norm_H2d.select(1, 1);
  }
};

Recurred BindingCase::one_by_one() const {
  const at::AutoGradMode grad(true);
  const ops::KvBindingInputs x = inputs();
  const std::vector<Tensor> initial{x.W1_HdF, x.b1_HF, x.W2_HFd, x.b2_Hd};
  std::vector<Tensor> W, G(x.state.begin() + 4, x.state.begin() + 8), o_T;
  for (size_t i = 0; i < 4; ++i) W.push_back(initial[i] + x.state[i]);
  int64_t place = x.state[8][0].item<int64_t>();
  for (int64_t t = 0; t < x.q_BTHd.size(1); ++t) {
    const auto at = [&](const Tensor& of) { return of.select(1, t); };
    std::vector<Tensor> leaves;
    for (const Tensor& w : W) leaves.push_back(w.requires_grad() ? w : w.detach().requires_grad_());
    const Tensor error = InnerModel::f(leaves, x, at(x.k_BTHd)) - (at(x.v_BTHd) - at(x.k_BTHd));
    const Tensor loss = (at(x.rate_BTH) * error.square().sum(-1) / 2).sum();
    const auto g = ops::gradients({loss}, leaves, {}, {.create_graph = true});
    std::vector<Tensor> now;
    for (size_t i = 0; i < 4; ++i) {
      G[i] = G[i] + g[i];
      now.push_back(W[i] - x.place_rate_C[place] * G[i]);
    }
    o_T.push_back(at(x.q_BTHd) + InnerModel::f(now, x, at(x.q_BTHd)));
    if (++place < kMiniBatch) continue;
    place = 0;
    W = now;
    for (Tensor& sum : G) sum = at::zeros_like(sum);
  }
  std::vector<Tensor> state;
  for (size_t i = 0; i < 4; ++i) state.push_back(W[i] - initial[i]);
  state.insert(state.end(), G.begin(), G.end());
  state.push_back(at::full({x.q_BTHd.size(0), 1}, place, x.W1_HdF.options().requires_grad(false)));
  return {at::stack(o_T, 1), flattened(state)};
}

TEST(KvBinding, in_mini_batches_and_one_token_after_another_is_gradient_descent) {
  expect_two_forms_of_one_recurrence<BindingCase>();
}
TEST(KvBinding, reading_in_any_split_gives_the_same_state) { expect_the_same_state_after_any_split<BindingCase>(); }
TEST(KvBinding, gradients_are_those_of_gradient_descent) { expect_gradients_of_the_recurrence<BindingCase>(); }
TEST(KvBinding, of_a_token_is_captured) { expect_a_token_captured<BindingCase>(); }

TEST(KvBinding, sequences_at_different_places_are_each_as_if_alone) {
  const BindingCase one(Recurrence{.batch = 1, .tokens = 20});
  const BindingCase later = part_of(one, 3, 17, part_of(one, 0, 3, one.flat).run().state);
  const BindingCase earlier = part_of(one, 0, 17, one.flat);
  BindingCase both = later;
  const auto join = [](Tensor& x, const Tensor& y) { x = at::cat({x, y}); };
  join(both.in.q_BTHd, earlier.in.q_BTHd), join(both.in.k_BTHd, earlier.in.k_BTHd);
  join(both.in.v_BTHd, earlier.in.v_BTHd), join(both.in.rate_BTH, earlier.in.rate_BTH), join(both.flat, earlier.flat);
  const Recurred a = later.run(), b = earlier.run();
  expect_same(both.run(), {at::cat({a.y, b.y}), at::cat({a.state, b.state})}, 1e-11);
}

TEST(KvBinding, learns_what_is_repeated) {
  BindingCase in(Recurrence{.batch = 1, .tokens = 240, .decay = 0.1});
  in.in.q_BTHd = in.in.k_BTHd = in.in.k_BTHd.narrow(1, 0, 1).expand_as(in.in.k_BTHd).contiguous();
  in.in.v_BTHd = in.in.k_BTHd + 0.3 * in.in.norm_H2d.select(1, 0) + in.in.norm_H2d.select(1, 1);
  const auto miss = [&](int64_t t) { return farthest(in.run().y.select(1, t), in.in.v_BTHd.select(1, t)); };
  EXPECT_LT(miss(239), 0.8 * miss(0));
}

TEST(Refused, kv_binding) {
  struct Inputs : ops::KvBindingInputs {
    explicit Inputs(at::ScalarType type) : KvBindingInputs(BindingCase(type).inputs()) {}
    void run() const { ops::kv_binding(*this); }
  };
  expect_refused<Inputs>({
      {"fewer keys", [](auto& in) { in.k_BTHd = in.k_BTHd.narrow(1, 0, 4); }},
      {"values of another type", [](auto& in) { in.v_BTHd = in.v_BTHd.to(at::kHalf); }},
      {"rates of fewer heads", [](auto& in) { in.rate_BTH = in.rate_BTH.narrow(2, 0, 1); }},
      {"no places", [](auto& in) { in.place_rate_C = in.place_rate_C.narrow(0, 0, 0); }},
      {"a first matrix in half precision", [](auto& in) { in.W1_HdF = in.W1_HdF.to(at::kHalf); }},
      {"a second matrix of another width", [](auto& in) { in.W2_HFd = in.W2_HFd.narrow(1, 0, 2); }},
      {"a norm without a shift", [](auto& in) { in.norm_H2d = in.norm_H2d.narrow(1, 0, 1); }},
      {"a state of fewer tensors", [](auto& in) { in.state.pop_back(); }},
      {"a state of fewer heads", [](auto& in) { in.state[0] = in.state[0].narrow(1, 0, 1); }},
  });
}

}  // namespace
}  // namespace ingrain::test
