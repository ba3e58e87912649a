#include "ops/fast_down/fast_down.h"

#include "ops/by_place.h"

namespace ingrain::ops {
namespace {

constexpr int64_t kAhead = kFastDownKernel / 2, kTail = kFastDownKernel - 1;

/// The state with names.
struct DownState {
  Tensor delta_BDF, sum_BDF, t_BnD, h_BnF, place_B1;

  static DownState of(const std::vector<Tensor>& x) { return {x[0], x[1], x[2], x[3], x[4]}; }
  std::vector<Tensor> tensors() const { return {delta_BDF, sum_BDF, t_BnD, h_BnF, place_B1}; }
};

/// sum_n v_n h_nᵀ of as many tokens as h has, [B, D, F]. t: those and the two before and after each.
Tensor written(const FastDownInputs& in, const Tensor& t_BnD, const Tensor& h_BnF) {
  const Tensor conv_DW = widened(in.conv_DW);
  Tensor v_BnD = at::zeros({}, t_BnD.options().requires_grad(false));
  for (int64_t j = 0; j < kFastDownKernel; ++j)
    v_BnD = v_BnD + t_BnD.narrow(1, j, h_BnF.size(1)) * conv_DW.select(1, j);
  return v_BnD.matmul(widened(in.proj_DD).t()).transpose(1, 2).matmul(h_BnF);
}

/// h Wᵀ with the matrix that its chunk began with.
Tensor asked(const FastDownInputs& in, const Tensor& h_BnF, const Tensor& delta_BDF) {
  return h_BnF.matmul(widened(in.w_DF).t()) + h_BnF.matmul(delta_BDF.transpose(1, 2));
}

Tensor with_zeros_behind(const Tensor& x_BnC, int64_t count) { return at::constant_pad_nd(x_BnC, {0, 0, 0, count}); }

/// Token t, from `state` to the state after it. Returns y [B, 1, D].
Tensor down_step(const FastDownInputs& in, int64_t t, DownState& state) {
  const Tensor h_B1F = widened(in.h_BTF.narrow(1, t, 1));
  const Tensor y_B1D = asked(in, h_B1F, state.delta_BDF);
  const Tensor t_BnD = at::cat({state.t_BnD, widened(in.t_BTD.narrow(1, t, 1))}, 1);
  const Tensor h_BnF = at::cat({state.h_BnF, h_B1F}, 1);
  // All that the token before the last one needs is there now; at the chunk's end nothing more comes.
  const Tensor sum_BDF = state.sum_BDF + written(in, t_BnD, h_BnF.narrow(1, 0, 1));
  const Tensor rest_BDF = written(in, with_zeros_behind(t_BnD.narrow(1, 1, kTail), kAhead), h_BnF.narrow(1, 1, kAhead));
  const Tensor last_B11 = (state.place_B1 == in.chunk - 1).to(sum_BDF.scalar_type()).unsqueeze(-1);
  const Tensor kept_B11 = 1 - last_B11;
  state.delta_BDF = state.delta_BDF + last_B11 * in.rate * (sum_BDF + rest_BDF);
  state.sum_BDF = kept_B11 * sum_BDF;
  state.t_BnD = kept_B11 * t_BnD.narrow(1, 1, kTail);
  state.h_BnF = kept_B11 * h_BnF.narrow(1, 1, kAhead);
  state.place_B1 = (state.place_B1 + 1) * kept_B11.squeeze(-1);
  return y_B1D;
}

/// Rows h, t of `count` tokens of one chunk, the first at `place`. Returns y [B, count, D].
Tensor down_run(const FastDownInputs& in, const Tensor& h_BTF, const Tensor& t_BTD, int64_t count, int64_t place,
                DownState& state) {
  const Tensor y_BTD = asked(in, h_BTF, state.delta_BDF);
  const Tensor t_BnD = at::cat({state.t_BnD, t_BTD}, 1);
  const Tensor h_BnF = at::cat({state.h_BnF, h_BTF}, 1);
  if (place + count < in.chunk) {
    state.sum_BDF = state.sum_BDF + written(in, t_BnD, h_BnF.narrow(1, 0, count));
    state.t_BnD = t_BnD.narrow(1, count, kTail);
    state.h_BnF = h_BnF.narrow(1, count, kAhead);
    state.place_B1 = state.place_B1 + count;
    return y_BTD;
  }
  const Tensor all_BDF = state.sum_BDF + written(in, with_zeros_behind(t_BnD, kAhead), h_BnF);
  state.delta_BDF = state.delta_BDF + in.rate * all_BDF;
  state.sum_BDF = zeros_as(state.sum_BDF), state.t_BnD = zeros_as(state.t_BnD), state.h_BnF = zeros_as(state.h_BnF);
  state.place_B1 = zeros_as(state.place_B1);
  return y_BTD;
}

void check_fast_down(const FastDownInputs& in) {
  const Tensor &h = in.h_BTF, &t = in.t_BTD;
  TORCH_CHECK(h.dim() == 3 && t.dim() == 3 && h.sizes().slice(0, 2) == t.sizes().slice(0, 2) && alike(h, t),
              "fast_down: rows ", h.sizes(), " and their targets ", t.sizes(), " do not fit each other");
  const int64_t B = h.size(0), F = h.size(2), D = t.size(2);
  const auto check = [&](const char* what, const Tensor& x, const std::vector<int64_t>& sizes, bool fits) {
    TORCH_CHECK(x.sizes() == at::IntArrayRef(sizes) && fits, "fast_down: ", what, " ", x.scalar_type(), " ", x.sizes(),
                " must be ", at::IntArrayRef(sizes), " beside rows of ", h.scalar_type());
  };
  check("a matrix", in.w_DF, {D, F}, alike(in.w_DF, h));
  check("a projection", in.proj_DD, {D, D}, alike(in.proj_DD, h));
  check("a convolution", in.conv_DW, {D, kFastDownKernel}, alike(in.conv_DW, h));
  TORCH_CHECK(in.chunk > 0, "fast_down: chunks of ", in.chunk, " tokens");
  if (in.state.empty()) return;
  TORCH_CHECK(in.state.size() == 5, "fast_down: a state of ", in.state.size(), " tensors");
  const std::vector<int64_t> sizes[] = {{B, D, F}, {B, D, F}, {B, kTail, D}, {B, kAhead, F}, {B, 1}};
  for (size_t i = 0; i < 5; ++i) check("a state's tensor", in.state[i], sizes[i], is_wide_beside(in.state[i], h));
}

std::vector<Tensor> state_of(const FastDownInputs& in) {
  if (!in.state.empty()) return in.state;
  const int64_t B = in.h_BTF.size(0), F = in.h_BTF.size(2), D = in.t_BTD.size(2);
  return zero_state({{B, D, F}, {B, D, F}, {B, kTail, D}, {B, kAhead, F}, {B, 1}},
                    in.h_BTF.options().dtype(accumulate_type(in.h_BTF.scalar_type())));
}

Tensor joined(const std::vector<Tensor>& y_BnD, const FastDownInputs& in) {
  return captured([y_BnD, type = in.h_BTF.scalar_type()] { return at::cat(y_BnD, 1).to(type); });
}

}  // namespace

FastDown fast_down_by_token(const FastDownInputs& in) {
  check_fast_down(in);
  std::vector<Tensor> state = state_of(in), all{in.h_BTF, in.t_BTD, in.w_DF, in.proj_DD, in.conv_DW};
  const int64_t B = in.h_BTF.size(0), T = in.h_BTF.size(1), D = in.t_BTD.size(2);
  if (T == 0) return {at::empty_like(in.t_BTD), state};
  all.insert(all.end(), state.begin(), state.end());
  const auto y = by_token(T, any_needs_graph(all), at::empty({B, 1, D}, state[0].options()), state,
                          [in](int64_t t, std::vector<Tensor>& now) {
                            DownState named = DownState::of(now);
                            const Tensor y_B1D = down_step(in, t, named);
                            now = named.tensors();
                            return y_B1D;
                          });
  return {joined(y, in), state};
}

FastDown fast_down(const FastDownInputs& in) {
  check_fast_down(in);
  if (in.h_BTF.size(1) <= 1 || cpu::Capture::current()) return fast_down_by_token(in);
  const std::optional<int64_t> place = in.state.empty() ? 0 : common_place(in.state[4]);
  if (!place) return fast_down_by_token(in);
  DownState state = DownState::of(state_of(in));
  const std::vector<int64_t> lengths = run_lengths(in.h_BTF.size(1), in.chunk, *place);
  const auto h = in_runs(widened(in.h_BTF), lengths), t = in_runs(widened(in.t_BTD), lengths);
  const auto y = by_runs(lengths, in.chunk, *place, [&](size_t i, int64_t count, int64_t at) {
    return down_run(in, h[i], t[i], count, at, state);
  });
  return {joined(y, in), state.tensors()};
}

}  // namespace ingrain::ops
