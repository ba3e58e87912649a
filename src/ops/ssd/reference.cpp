#include "ops/checks.h"
#include "ops/chunks.h"
#include "ops/graph/captured.h"
#include "ops/ssd/ssd.h"

namespace ingrain::ops {
namespace {

constexpr int64_t kSsdChunk = 64;

Tensor ssd_steps(const SsdInputs& in) {
  const Tensor y_BTHV = at::empty_like(in.x_BTHV, in.x_BTHV.options(), at::MemoryFormat::Contiguous);
  captured([=] {
    const int64_t heads_of_group = in.x_BTHV.size(2) / in.b_BTGK.size(2);
    Tensor S_BHKV = in.state_BHKV;
    for (int64_t t = 0; t < in.x_BTHV.size(1); ++t) {
      const auto column = [&](const Tensor& b_BTGK) {
        return b_BTGK.select(1, t).to(S_BHKV.scalar_type()).repeat_interleave(heads_of_group, 1).unsqueeze(-1);
      };
      const Tensor x_BHV = in.x_BTHV.select(1, t).to(S_BHKV.scalar_type()), dt_BH = in.dt_BTH.select(1, t);
      const Tensor u_BH1V = (dt_BH.unsqueeze(-1) * x_BHV).unsqueeze(2);
      S_BHKV = (dt_BH * in.A_H).exp().unsqueeze(-1).unsqueeze(-1) * S_BHKV + column(in.b_BTGK) * u_BH1V;
      y_BTHV.select(1, t).copy_((column(in.c_BTGK) * S_BHKV).sum(2) + in.D_H.unsqueeze(-1) * x_BHV);
    }
    in.state_BHKV.copy_(S_BHKV);
  });
  return y_BTHV;
}

/// A chunk's C tokens at once. With s_t the sum of dt A from the chunk's begin to t, and u = dt x:
///   y_t = exp(s_t) Sᵀ c_t + sum_{i <= t} exp(s_t - s_i) (b_i . c_t) u_i + D x_t;
///   S' = exp(s_C) S + sum_i exp(s_C - s_i) b_i u_iᵀ,
/// in which what each chunk adds to S is known before the state is. N: chunks, R: the heads of a group, which share the
/// products of b and c and are columns of the same products with the state.
Ssd ssd_in_chunks(const SsdInputs& in) {
  const int64_t B = in.x_BTHV.size(0), T = in.x_BTHV.size(1), H = in.x_BTHV.size(2), V = in.x_BTHV.size(3);
  const int64_t G = in.b_BTGK.size(2), K = in.b_BTGK.size(3), R = H / G;
  if (T == 0) return {at::empty_like(in.x_BTHV), in.state_BHKV.clone()};
  const auto type = in.state_BHKV.scalar_type();
  // Tokens that are missing at the end take no time: they change nothing.
  const auto chunked = [&](const Tensor& x_BTGd) { return in_chunks_of(kSsdChunk, x_BTGd, type); };
  const Tensor dt_BGNCR = chunked(in.dt_BTH.reshape({B, T, G, R}));
  const Tensor x_BGNCRV = chunked(in.x_BTHV.reshape({B, T, G, R * V})).unflatten(4, {R, V});
  const Tensor b_BGNCK = chunked(in.b_BTGK), c_BGNCK = chunked(in.c_BTGK), bt_BGNKC = b_BGNCK.transpose(3, 4);
  const int64_t N = dt_BGNCR.size(2);
  const Tensor u_BGNCRV = dt_BGNCR.unsqueeze(-1) * x_BGNCRV;
  // Sums in fp64: after a token that forgets much, differences of fp32 sums would have lost the small ones.
  const Tensor s_BGNCR = (dt_BGNCR * in.A_H.view({G, 1, 1, R})).to(at::kDouble).cumsum(3);
  const Tensor end_BGN1R = s_BGNCR.narrow(3, kSsdChunk - 1, 1);
  const auto decay = [&](const Tensor& s) { return s.to(type).exp(); };

  // Above the diagonal exp would overflow, and what is multiplied by zero afterwards has NaN for a gradient.
  const Tensor s_BGRNC = s_BGNCR.permute({0, 1, 4, 2, 3});
  const Tensor D_BGRNCC = decay((s_BGRNC.unsqueeze(-1) - s_BGRNC.unsqueeze(-2)).tril()).tril();
  const Tensor score_BGRNCC = c_BGNCK.matmul(bt_BGNKC).unsqueeze(2) * D_BGRNCC;
  const Tensor inside_BGRNCV = score_BGRNCC.matmul(u_BGNCRV.permute({0, 1, 4, 2, 3, 5}));

  const Tensor kept_BGNCRV = u_BGNCRV * decay(end_BGN1R - s_BGNCR).unsqueeze(-1);
  const Tensor added_BGNKRV = bt_BGNKC.matmul(kept_BGNCRV.flatten(4)).unflatten(4, {R, V});
  const Tensor passed_BGN1R1 = decay(end_BGN1R).unsqueeze(-1);
  Tensor S_BGKRV = in.state_BHKV.reshape({B, G, R, K, V}).transpose(2, 3);
  const auto passed_N = each_chunk(passed_BGN1R1), added_N = each_chunk(added_BGNKRV);
  std::vector<Tensor> S_N;
  for (size_t n = 0; n < passed_N.size(); ++n) {
    S_N.push_back(S_BGKRV);
    S_BGKRV = passed_N[n] * S_BGKRV + added_N[n];
  }
  const Tensor before_BGNCRV = c_BGNCK.matmul(at::stack(S_N, 2).flatten(4)).unflatten(4, {R, V});

  const Tensor y_BGNCRV = before_BGNCRV * decay(s_BGNCR).unsqueeze(-1) + inside_BGRNCV.permute({0, 1, 3, 4, 2, 5}) +
                          in.D_H.view({G, 1, 1, R, 1}) * x_BGNCRV;
  const Tensor y_BTHV = y_BGNCRV.permute({0, 2, 3, 1, 4, 5}).reshape({B, N * kSsdChunk, H, V}).narrow(1, 0, T);
  return {y_BTHV.to(in.x_BTHV.scalar_type()).contiguous(), S_BGKRV.transpose(2, 3).reshape({B, H, K, V}).contiguous()};
}

}  // namespace

const SsdKernels ssd_reference{ssd_in_chunks, ssd_steps};

}  // namespace ingrain::ops
