// The matrix that learns in place: its two forms are what its header says, with their gradients; and what is refused.
#include "ops_refusals.h"
#include "recurrence.h"

#include "ops/checks.h"
#include "ops/fast_down/fast_down.h"
#include "ops/graph/captured.h"

#include <ATen/ops/conv1d.h>

namespace ingrain::test {
namespace {

constexpr int64_t kChunk = 12, kWidth = 4;

/// The state as one tensor [B, numbers], as the shared properties take it.
struct DownCase {
  ops::FastDownInputs in;
  Tensor flat;

  explicit DownCase(at::ScalarType type) : DownCase(Recurrence{.type = type}) {}
  explicit DownCase(const Recurrence& r) {
    const int64_t D = r.values, F = kWidth;
    at::manual_seed(5);
    const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble).to(r.type); };
    in.h_BTF = random({r.batch, r.tokens, F});
    in.t_BTD = random({r.batch, r.tokens, D});
    in.w_DF = random({D, F}), in.proj_DD = random({D, D}), in.conv_DW = random({D, ops::kFastDownKernel});
    in.rate = 0.1;
    in.chunk = kChunk;
    ops::FastDownInputs before = in;  // of some text's begin: a chunk and three tokens
    before.h_BTF = random({r.batch, kChunk + 3, F}), before.t_BTD = random({r.batch, kChunk + 3, D});
    flat = flattened(ops::fast_down_by_token(before).state);
  }
  static Tensor flattened(const std::vector<Tensor>& state) {
    std::vector<Tensor> flat;
    for (const Tensor& x : state) flat.push_back(x.flatten(1));
    return at::cat(flat, 1);
  }
  ops::FastDownInputs inputs() const {
    ops::FastDownInputs out = in;
    if (!flat.defined()) return out;
    const int64_t B = flat.size(0), D = in.w_DF.size(0), F = in.w_DF.size(1);
    int64_t first = 0;
    for (const auto& [rows, columns] : {std::pair(D, F), {D, F}, {int64_t{4}, D}, {int64_t{2}, F}}) {
      out.state.push_back(flat.narrow(1, first, rows * columns).view({B, rows, columns}));
      first += rows * columns;
    }
    out.state.push_back(flat.narrow(1, first, 1));
    return out;
  }
  std::vector<Tensor*> of_tokens() { return {&in.h_BTF, &in.t_BTD}; }
  std::vector<Tensor*> of_all() { return {&in.h_BTF, &in.t_BTD, &in.w_DF, &in.proj_DD, &in.conv_DW, &flat}; }
  Tensor& state() { return flat; }
  Recurred run() const {
    const auto out = ops::fast_down(inputs());
    return {out.y_BTD, flattened(out.state)};
  }
  Tensor in_place() const {
    const auto out = ops::fast_down_by_token(inputs());
    ops::captured([flat = flat, state = out.state] { flat.copy_(flattened(state)); });
    return out.y_BTD;
  }
  Recurred one_by_one() const;
};

/// A text from its begin, chunk by chunk, each with its whole target: y, and the matrix after the last whole chunk.
std::pair<Tensor, Tensor> by_definition(const ops::FastDownInputs& in) {
  const int64_t T = in.h_BTF.size(1);
  Tensor W_BDF = in.w_DF.unsqueeze(0);
  std::vector<Tensor> y;
  for (int64_t first = 0; first < T; first += in.chunk) {
    const int64_t n = std::min(in.chunk, T - first);
    const Tensor h = in.h_BTF.narrow(1, first, n), t = in.t_BTD.narrow(1, first, n);
    y.push_back(at::einsum("bdf,bnf->bnd", {W_BDF.expand({h.size(0), -1, -1}), h}));
    if (n < in.chunk) break;
    const Tensor v = at::conv1d(t.transpose(1, 2), in.conv_DW.unsqueeze(1), {}, 1, 2, 1, t.size(2)).transpose(1, 2);
    W_BDF = W_BDF + in.rate * at::einsum("ed,bnd,bnf->bef", {in.proj_DD, v, h});
  }
  return {at::cat(y, 1), W_BDF};
}

/// Token by token, the target of each from those of its chunk around it, as far as they are there.
Recurred DownCase::one_by_one() const {
  const ops::FastDownInputs x = inputs();
  Tensor delta = x.state[0], sum = x.state[1], t_4 = x.state[2], h_2 = x.state[3];
  int64_t place = x.state[4][0].item<int64_t>();
  const auto contribution = [&](const Tensor& t_5, const Tensor& h) {
    const Tensor v = at::einsum("bjd,dj->bd", {t_5, x.conv_DW});
    return at::einsum("ed,bd,bf->bef", {x.proj_DD, v, h});
  };
  std::vector<Tensor> y;
  for (int64_t n = 0; n < x.h_BTF.size(1); ++n) {
    const Tensor h = x.h_BTF.select(1, n);
    y.push_back(at::einsum("bdf,bf->bd", {x.w_DF + delta, h}));
    Tensor t_7 = at::cat({t_4, x.t_BTD.narrow(1, n, 1), at::zeros_like(t_4.narrow(1, 0, 2))}, 1);
    const Tensor h_3 = at::cat({h_2, h.unsqueeze(1)}, 1);
    sum = sum + contribution(t_7.narrow(1, 0, 5), h_3.select(1, 0));
    t_4 = t_7.narrow(1, 1, 4), h_2 = h_3.narrow(1, 1, 2);
    if (++place < kChunk) continue;
    for (int64_t i : {1, 2}) sum = sum + contribution(t_7.narrow(1, i, 5), h_3.select(1, i));
    delta = delta + x.rate * sum;
    sum = at::zeros_like(sum), t_4 = at::zeros_like(t_4), h_2 = at::zeros_like(h_2), place = 0;
  }
  const Tensor place_B1 = at::full({x.h_BTF.size(0), 1}, place, delta.options().requires_grad(false));
  return {at::stack(y, 1), flattened({delta, sum, t_4, h_2, place_B1})};
}

TEST(FastDown, in_chunks_and_one_token_after_another_are_the_same) { expect_two_forms_of_one_recurrence<DownCase>(); }
TEST(FastDown, reading_in_any_split_gives_the_same_state) { expect_the_same_state_after_any_split<DownCase>(); }
TEST(FastDown, gradients_are_those_of_the_recurrence) { expect_gradients_of_the_recurrence<DownCase>(); }
TEST(FastDown, of_a_token_is_captured) { expect_a_token_captured<DownCase>(); }

TEST(FastDown, of_a_whole_text_is_the_chunks_definition) {
  for (const int64_t T : {1, 11, 12, 13, 24, 50}) {
    DownCase in(Recurrence{.tokens = T});
    in.flat = Tensor();
    const auto [y, W_BDF] = by_definition(in.in);
    const auto ours = ops::fast_down(in.in), by_token = ops::fast_down_by_token(in.in);
    for (const auto* form : {&ours, &by_token}) {
      EXPECT_LT(farthest(form->y_BTD, y), 1e-10) << T;
      EXPECT_LT(farthest(form->state[0] + in.in.w_DF, W_BDF), 1e-10) << T;
    }
  }
}

TEST(Refused, fast_down) {
  struct Inputs : ops::FastDownInputs {
    explicit Inputs(at::ScalarType type) : FastDownInputs(DownCase(type).inputs()) {}
    void run() const { ops::fast_down(*this); }
  };
  expect_refused<Inputs>({
      {"fewer targets", [](auto& in) { in.t_BTD = in.t_BTD.narrow(1, 0, 4); }},
      {"targets of another type", [](auto& in) { in.t_BTD = in.t_BTD.to(at::kHalf); }},
      {"a matrix of another width", [](auto& in) { in.w_DF = in.w_DF.narrow(1, 0, 2); }},
      {"a projection that is not square", [](auto& in) { in.proj_DD = in.proj_DD.narrow(0, 0, 2); }},
      {"a convolution of four tokens", [](auto& in) { in.conv_DW = in.conv_DW.narrow(1, 0, 4); }},
      {"chunks of no tokens", [](auto& in) { in.chunk = 0; }},
      {"a state of fewer tensors", [](auto& in) { in.state.pop_back(); }},
      {"a state in half precision", [](auto& in) { in.state[1] = in.state[1].to(at::kHalf); }},
  });
}

}  // namespace
}  // namespace ingrain::test
