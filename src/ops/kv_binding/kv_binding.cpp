#include "ops/kv_binding/kv_binding.h"

#include "ops/by_place.h"

#include <cmath>
#include <numbers>

namespace ingrain::ops {
namespace {

constexpr double kBindingNormEps = 1e-6;

/// The inner MLP's weights, or what is added to them: those of B sequences with a leading B.
struct Inner {
  Tensor W1_dF, b1_F, W2_Fd, b2_d;

  /// this + factor x.
  Inner plus(const Inner& x, const Tensor& factor_B) const {
    const auto sum = [&](const Tensor& a, const Tensor& b) {
      std::vector<int64_t> sizes(static_cast<size_t>(b.dim()), 1);
      sizes[0] = -1;
      return a + factor_B.view(sizes) * b;
    };
    return {sum(W1_dF, x.W1_dF), sum(b1_F, x.b1_F), sum(W2_Fd, x.W2_Fd), sum(b2_d, x.b2_d)};
  }
  Inner plus(const Inner& x) const { return {W1_dF + x.W1_dF, b1_F + x.b1_F, W2_Fd + x.W2_Fd, b2_d + x.b2_d}; }
};

/// The state with names.
struct BindingState {
  Inner delta, sum;
  Tensor place_B1;

  static BindingState of(const std::vector<Tensor>& x) {
    return {{x[0], x[1], x[2], x[3]}, {x[4], x[5], x[6], x[7]}, x[8]};
  }
  std::vector<Tensor> tensors() const {
    return {delta.W1_dF, delta.b1_F, delta.W2_Fd, delta.b2_d, sum.W1_dF, sum.b1_F, sum.W2_Fd, sum.b2_d, place_B1};
  }
};

Tensor inner_gelu(const Tensor& x) { return at::gelu(x, "tanh"); }

Tensor inner_gelu_slope(const Tensor& x) {
  const double c = std::sqrt(2 / std::numbers::pi), a = 0.044715;
  const Tensor square = x * x, t = (c * x * (1 + a * square)).tanh();
  return 0.5 * (1 + t) + 0.5 * c * x * (1 - t * t) * (1 + 3 * a * square);
}

/// x without its mean, over its deviation; and 1 over that.
std::pair<Tensor, Tensor> standardized(const Tensor& x) {
  const Tensor centred = x - x.mean(-1, true);
  const Tensor scale = (centred.square().mean(-1, true) + kBindingNormEps).rsqrt();
  return {centred * scale, scale};
}

/// LN's scale and shift beside rows [B, H, C, d].
struct BindingNorm {
  Tensor w_H1d, b_H1d;
  explicit BindingNorm(const Tensor& norm_H2d) : w_H1d(norm_H2d.narrow(1, 0, 1)), b_H1d(norm_H2d.narrow(1, 1, 1)) {}

  Tensor operator()(const Tensor& x) const { return standardized(x).first * w_H1d + b_H1d; }
  /// d (|LN(x) - target|² / 2) / dx.
  Tensor slope_of_loss(const Tensor& x, const Tensor& target) const {
    const auto [unit, scale] = standardized(x);
    const Tensor g = (unit * w_H1d + b_H1d - target) * w_H1d;
    return (g - g.mean(-1, true) - unit * (g * unit).mean(-1, true)) * scale;
  }
};

/// What the loss of C tokens is to a first and a second product: gradients of W are outer products of these.
struct InnerSlopes {
  Tensor hidden_CF;  // inner_gelu(k W1 + b1)
  Tensor first_CF, second_Cd;
};

InnerSlopes slopes(const BindingNorm& norm, const Inner& W, const Tensor& k_Cd, const Tensor& v_Cd) {
  const Tensor z1_CF = k_Cd.matmul(W.W1_dF) + W.b1_F.unsqueeze(-2), hidden_CF = inner_gelu(z1_CF);
  const Tensor z2_Cd = hidden_CF.matmul(W.W2_Fd) + W.b2_d.unsqueeze(-2);
  const Tensor second_Cd = norm.slope_of_loss(z2_Cd, v_Cd - k_Cd);
  return {hidden_CF, second_Cd.matmul(W.W2_Fd.transpose(-2, -1)) * inner_gelu_slope(z1_CF), second_Cd};
}

/// sum_i rate_i d loss_i / d W.
Inner summed(const InnerSlopes& s, const Tensor& k_Cd, const Tensor& rate_C1) {
  const Tensor first_CF = rate_C1 * s.first_CF, second_Cd = rate_C1 * s.second_Cd;
  return {k_Cd.transpose(-2, -1).matmul(first_CF), first_CF.sum(-2), s.hidden_CF.transpose(-2, -1).matmul(second_Cd),
          second_Cd.sum(-2)};
}

/// Some tokens of the inputs, wide, as heads [B, H, tokens, d].
struct SomeTokens {
  Tensor q_Cd, k_Cd, v_Cd, rate_C1;
  SomeTokens(const KvBindingInputs& in, const Tensor& q_BCHd, const Tensor& k_BCHd, const Tensor& v_BCHd,
             const Tensor& rate_BCH) {
    const auto heads = [&](const Tensor& x_BCHd) { return x_BCHd.to(in.W1_HdF.scalar_type()).transpose(1, 2); };
    q_Cd = heads(q_BCHd), k_Cd = heads(k_BCHd), v_Cd = heads(v_BCHd), rate_C1 = heads(rate_BCH.unsqueeze(-1));
  }
};

Inner initial(const KvBindingInputs& in) { return {in.W1_HdF, in.b1_HF, in.W2_HFd, in.b2_Hd}; }

/// Token t by definition, from `state` to the state after it. Returns o [B, H, 1, d].
Tensor step(const KvBindingInputs& in, int64_t t, BindingState& state) {
  const int64_t C = in.place_rate_C.size(0);
  const auto now = [t](const Tensor& x_BTH) { return x_BTH.narrow(1, t, 1); };
  const SomeTokens x(in, now(in.q_BTHd), now(in.k_BTHd), now(in.v_BTHd), now(in.rate_BTH));
  const BindingNorm norm(in.norm_H2d);
  const Inner W = initial(in).plus(state.delta);
  const Inner G = state.sum.plus(summed(slopes(norm, W, x.k_Cd, x.v_Cd), x.k_Cd, x.rate_C1));
  const Tensor place_B = state.place_B1.select(1, 0), rate_B = in.place_rate_C.index_select(0, place_B.to(at::kLong));
  const Inner after = W.plus(G, -rate_B);
  const Tensor hidden_1F = inner_gelu(x.q_Cd.matmul(after.W1_dF) + after.b1_F.unsqueeze(-2));
  const Tensor last_B = (place_B == C - 1).to(rate_B.scalar_type());
  state.delta = state.delta.plus(G, -last_B * rate_B);
  state.sum = G.plus(G, -last_B);
  state.place_B1 = ((place_B + 1) * (1 - last_B)).unsqueeze(1);
  return x.q_Cd + norm(hidden_1F.matmul(after.W2_Fd) + after.b2_d.unsqueeze(-2));
}

/// x: `count` tokens of one mini-batch, the first at `place`, in the dual form: W_t - place_rate_n G_n is never made.
/// With R_ni = place_rate_n rate_i for i <= n, and G what the mini-batch's tokens before have left,
///   x_n (W - place_rate_n (G + G_n)) = x_n W - place_rate_n x_n G - sum_i R_ni (x_n . k_i + 1) first_i,
/// in which the 1 is the bias'. Returns o [B, H, count, d].
Tensor mini_batch(const KvBindingInputs& in, const SomeTokens& x, int64_t count, int64_t place, BindingState& state) {
  const int64_t C = in.place_rate_C.size(0);
  const BindingNorm norm(in.norm_H2d);
  const Inner W = initial(in).plus(state.delta);
  const InnerSlopes s = slopes(norm, W, x.k_Cd, x.v_Cd);
  const Tensor place_rate_C1 = in.place_rate_C.narrow(0, place, count).unsqueeze(-1);
  const Tensor R_CC = (place_rate_C1 * x.rate_C1.transpose(-2, -1)).tril();
  const auto layer = [&](const Tensor& x_Cn, const Tensor& keys_Cn, const Tensor& slope_Cm, const Tensor& w_nm,
                         const Tensor& b_m, const Tensor& sum_w_nm, const Tensor& sum_b_m) {
    const Tensor met_CC = R_CC * (x_Cn.matmul(keys_Cn.transpose(-2, -1)) + 1);
    const Tensor out_Cm = x_Cn.matmul(w_nm) + b_m.unsqueeze(-2) - met_CC.matmul(slope_Cm);
    return place == 0 ? out_Cm : out_Cm - place_rate_C1 * (x_Cn.matmul(sum_w_nm) + sum_b_m.unsqueeze(-2));
  };
  const Inner& G = state.sum;
  const Tensor hidden_CF = inner_gelu(layer(x.q_Cd, x.k_Cd, s.first_CF, W.W1_dF, W.b1_F, G.W1_dF, G.b1_F));
  const Tensor z_Cd = layer(hidden_CF, s.hidden_CF, s.second_Cd, W.W2_Fd, W.b2_d, G.W2_Fd, G.b2_d);

  const Inner all = G.plus(summed(s, x.k_Cd, x.rate_C1));
  if (place + count < C) {
    state.sum = all;
    state.place_B1 = state.place_B1 + count;
  } else {
    state.delta = state.delta.plus(all, -in.place_rate_C.narrow(0, C - 1, 1));
    state.sum = {zeros_as(all.W1_dF), zeros_as(all.b1_F), zeros_as(all.W2_Fd), zeros_as(all.b2_d)};
    state.place_B1 = zeros_as(state.place_B1);
  }
  return x.q_Cd + norm(z_Cd);
}

void check_kv_binding(const KvBindingInputs& in) {
  const Tensor& q = in.q_BTHd;
  TORCH_CHECK(q.dim() == 4 && q.sizes() == in.k_BTHd.sizes() && q.sizes() == in.v_BTHd.sizes() && alike(q, in.k_BTHd) &&
                  alike(q, in.v_BTHd),
              "kv_binding: queries ", q.sizes(), ", keys ", in.k_BTHd.sizes(), " and values ", in.v_BTHd.sizes(),
              " do not fit each other");
  const int64_t B = q.size(0), H = q.size(2), d = q.size(3);
  TORCH_CHECK(in.W1_HdF.dim() == 3, "kv_binding: a first matrix ", in.W1_HdF.sizes());
  const int64_t F = in.W1_HdF.size(2);
  const auto check = [&](const char* what, const Tensor& x, const std::vector<int64_t>& sizes) {
    TORCH_CHECK(x.sizes() == at::IntArrayRef(sizes) && is_wide_beside(x, q), "kv_binding: ", what, " ", x.scalar_type(),
                " ", x.sizes(), " must be ", at::IntArrayRef(sizes), ", fp32 (fp64 for fp64), on the queries' device");
  };
  check("rates", in.rate_BTH, {B, q.size(1), H});
  TORCH_CHECK(in.place_rate_C.dim() == 1 && in.place_rate_C.size(0) > 0 && is_wide_beside(in.place_rate_C, q),
              "kv_binding: rates of places ", in.place_rate_C.sizes());
  check("W1", in.W1_HdF, {H, d, F});
  check("b1", in.b1_HF, {H, F});
  check("W2", in.W2_HFd, {H, F, d});
  check("b2", in.b2_Hd, {H, d});
  check("a norm", in.norm_H2d, {H, 2, d});
  if (in.state.empty()) return;
  TORCH_CHECK(in.state.size() == 9, "kv_binding: a state of ", in.state.size(), " tensors");
  const std::vector<int64_t> sizes[] = {{B, H, d, F}, {B, H, F}, {B, H, F, d}, {B, H, d}};
  for (size_t i = 0; i < 8; ++i) check("a state's tensor", in.state[i], sizes[i % 4]);
  check("places", in.state[8], {B, 1});
}

std::vector<Tensor> state_before(const KvBindingInputs& in) {
  if (!in.state.empty()) return in.state;
  const int64_t B = in.q_BTHd.size(0), H = in.q_BTHd.size(2), d = in.q_BTHd.size(3), F = in.W1_HdF.size(2);
  const std::vector<int64_t> W1{B, H, d, F}, b1{B, H, F}, W2{B, H, F, d}, b2{B, H, d};
  return zero_state({W1, b1, W2, b2, W1, b1, W2, b2, {B, 1}}, in.W1_HdF.options());
}

bool needs_graph_of(const KvBindingInputs& in) {
  std::vector<Tensor> all{in.q_BTHd, in.k_BTHd, in.v_BTHd, in.rate_BTH, in.place_rate_C,
                          in.W1_HdF, in.b1_HF,  in.W2_HFd, in.b2_Hd,    in.norm_H2d};
  all.insert(all.end(), in.state.begin(), in.state.end());
  return any_needs_graph(all);
}

/// Like q, of outputs [B, H, some tokens, d].
Tensor as_rows(const std::vector<Tensor>& o_BHCd, const KvBindingInputs& in) {
  return captured(
      [o_BHCd, type = in.q_BTHd.scalar_type()] { return at::cat(o_BHCd, 2).transpose(1, 2).to(type).contiguous(); });
}

}  // namespace

KvBinding kv_binding_by_token(const KvBindingInputs& in) {
  check_kv_binding(in);
  std::vector<Tensor> state = state_before(in);
  const Tensor& q = in.q_BTHd;
  if (q.size(1) == 0) return {at::empty_like(q), state};
  const Tensor o_like_BH1d = at::empty({q.size(0), q.size(2), 1, q.size(3)}, in.W1_HdF.options());
  const auto o = by_token(q.size(1), needs_graph_of(in), o_like_BH1d, state, [in](int64_t t, std::vector<Tensor>& now) {
    BindingState named = BindingState::of(now);
    const Tensor o_BH1d = step(in, t, named);
    now = named.tensors();
    return o_BH1d;
  });
  return {as_rows(o, in), state};
}

KvBinding kv_binding(const KvBindingInputs& in) {
  check_kv_binding(in);
  const int64_t T = in.q_BTHd.size(1);
  if (T <= 1 || cpu::Capture::current()) return kv_binding_by_token(in);
  const std::optional<int64_t> place = in.state.empty() ? 0 : common_place(in.state[8]);
  if (!place) return kv_binding_by_token(in);
  BindingState state = BindingState::of(state_before(in));
  const int64_t C = in.place_rate_C.size(0);
  const std::vector<int64_t> lengths = run_lengths(T, C, *place);
  const auto runs = [&](const Tensor& x_BTH) { return in_runs(x_BTH.to(in.W1_HdF.scalar_type()), lengths); };
  const auto q = runs(in.q_BTHd), k = runs(in.k_BTHd), v = runs(in.v_BTHd), rate = runs(in.rate_BTH);
  const auto o = by_runs(lengths, C, *place, [&](size_t i, int64_t count, int64_t at) {
    return mini_batch(in, {in, q[i], k[i], v[i], rate[i]}, count, at, state);
  });
  return {as_rows(o, in), state.tensors()};
}

}  // namespace ingrain::ops
