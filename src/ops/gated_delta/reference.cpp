#include "ops/checks.h"
#include "ops/chunks.h"
#include "ops/gated_delta/gated_delta.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
namespace {

constexpr int64_t kChunk = 64;

Tensor recurrent_steps(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                       const Tensor& beta_BTH, const Tensor& state_BHKV, double scale) {
  const auto type = state_BHKV.scalar_type();
  const Tensor o_BTHV = at::empty_like(v_BTHV, v_BTHV.options(), at::MemoryFormat::Contiguous);
  captured([=] {
    Tensor S_BHKV = state_BHKV;
    const auto column = [&](const Tensor& x_BTHd, int64_t t) { return x_BTHd.select(1, t).to(type).unsqueeze(-1); };
    for (int64_t t = 0; t < q_BTHK.size(1); ++t) {
      const Tensor k_BHK1 = column(k_BTHK, t);
      S_BHKV = S_BHKV * g_BTH.select(1, t).exp().unsqueeze(-1).unsqueeze(-1);
      const Tensor error_BHV = v_BTHV.select(1, t).to(type) - (S_BHKV * k_BHK1).sum(2);
      const Tensor u_BH1V = (beta_BTH.select(1, t).unsqueeze(-1) * error_BHV).unsqueeze(2);
      S_BHKV = S_BHKV + k_BHK1 * u_BH1V;
      o_BTHV.select(1, t).copy_((S_BHKV * column(q_BTHK, t)).sum(2) * scale);
    }
    state_BHKV.copy_(S_BHKV);
  });
  return o_BTHV;
}

/// A chunk's C tokens at once. With G the sums of g from the chunk's begin and D_ti = exp(G_t - G_i) for i <= t:
///   u_t = beta_t (v_t - exp(G_t) Sᵀ k_t - sum_{i < t} D_ti (k_i . k_t) u_i),
/// a triangular system for all u, in which S stands on the right side alone, so that it is solved for all chunks before
/// the first state is known: u = u0 - W S. Then
///   o_t = exp(G_t) Sᵀ q_t + sum_{i <= t} D_ti (k_i . q_t) u_i;   S' = exp(G_C) S + sum_i D_Ci k_i u_iᵀ.
GatedDelta in_chunks(const Tensor& q_BTHK, const Tensor& k_BTHK, const Tensor& v_BTHV, const Tensor& g_BTH,
                     const Tensor& beta_BTH, const Tensor& state_BHKV, double scale) {
  const int64_t B = q_BTHK.size(0), T = q_BTHK.size(1), H = q_BTHK.size(2), V = v_BTHV.size(3);
  if (T == 0) return {at::empty_like(v_BTHV), state_BHKV.clone()};
  const auto type = state_BHKV.scalar_type();
  // Tokens that are missing at the end have no key, no gate and no beta: they change nothing. N: chunks.
  const auto chunked = [&](const Tensor& x_BTHd) { return in_chunks_of(kChunk, x_BTHd, type); };
  const Tensor q_BHNCK = chunked(q_BTHK) * scale, k_BHNCK = chunked(k_BTHK), v_BHNCV = chunked(v_BTHV);
  const Tensor beta_BHNC1 = chunked(beta_BTH.unsqueeze(-1));
  // Sums in fp64: after a token that forgets much, differences of fp32 sums would have lost the small ones.
  const Tensor G_BHNC1 = chunked(g_BTH.unsqueeze(-1)).to(at::kDouble).cumsum(3);
  const auto decay = [&](const Tensor& g) { return g.to(type).exp(); };
  const Tensor passed_BHNC1 = decay(G_BHNC1);
  // Above the diagonal exp would overflow, and what is multiplied by zero afterwards has NaN for a gradient.
  const Tensor D_BHNCC = decay((G_BHNC1 - G_BHNC1.transpose(3, 4)).tril()).tril();
  const Tensor kt_BHNKC = k_BHNCK.transpose(3, 4);
  const Tensor A_BHNCC = (beta_BHNC1 * k_BHNCK.matmul(kt_BHNKC) * D_BHNCC).tril(-1);
  const auto solved = [&](const Tensor& x_BHNCd) {
    return at::linalg_solve_triangular(A_BHNCC, x_BHNCd, /*upper=*/false, /*left=*/true, /*unitriangular=*/true);
  };
  const Tensor u0_BHNCV = solved(beta_BHNC1 * v_BHNCV), W_BHNCK = solved(beta_BHNC1 * passed_BHNC1 * k_BHNCK);
  const Tensor score_BHNCC = q_BHNCK.matmul(kt_BHNKC) * D_BHNCC, q_passed_BHNCK = q_BHNCK * passed_BHNC1;
  const Tensor kept_BHNKC = kt_BHNKC * D_BHNCC.narrow(3, kChunk - 1, 1);

  const auto u0_N = each_chunk(u0_BHNCV), W_N = each_chunk(W_BHNCK), q_passed_N = each_chunk(q_passed_BHNCK),
             score_N = each_chunk(score_BHNCC), kept_N = each_chunk(kept_BHNKC),
             passed_N = each_chunk(passed_BHNC1.narrow(3, kChunk - 1, 1));
  Tensor S_BHKV = state_BHKV;
  std::vector<Tensor> o_N;
  for (size_t n = 0; n < u0_N.size(); ++n) {
    const Tensor u_BHCV = u0_N[n] - W_N[n].matmul(S_BHKV);
    o_N.push_back(q_passed_N[n].matmul(S_BHKV) + score_N[n].matmul(u_BHCV));
    S_BHKV = passed_N[n] * S_BHKV + kept_N[n].matmul(u_BHCV);
  }
  const Tensor o_BTHV = at::cat(o_N, 2).narrow(2, 0, T).transpose(1, 2).to(v_BTHV.scalar_type()).contiguous();
  return {o_BTHV.view({B, T, H, V}), S_BHKV};
}

}  // namespace

const GatedDeltaKernels gated_delta_reference{in_chunks, recurrent_steps};

}  // namespace ingrain::ops
