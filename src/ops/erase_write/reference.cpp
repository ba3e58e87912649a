#include "ops/checks.h"
#include "ops/chunks.h"
#include "ops/erase_write/erase_write.h"
#include "ops/graph/captured.h"

namespace ingrain::ops {
namespace {

/// Small: decays between two tokens are a number for each channel, which no product shares.
constexpr int64_t kEraseWriteChunk = 16;

Tensor erase_write_steps(const EraseWriteInputs& in) {
  const Tensor o_BTHV = at::empty_like(in.w_BTHV, in.w_BTHV.options(), at::MemoryFormat::Contiguous);
  captured([=] {
    Tensor S_BHKV = in.state_BHKV;
    for (int64_t t = 0; t < in.q_BTHK.size(1); ++t) {
      const auto now = [&](const Tensor& x_BTHd) { return x_BTHd.select(1, t).to(S_BHKV.scalar_type()); };
      const auto column = [&](const Tensor& x_BTHd) { return now(x_BTHd).unsqueeze(-1); };
      S_BHKV = column(in.g_BTHK).exp() * S_BHKV;
      const Tensor u_BHV = now(in.w_BTHV) - (S_BHKV * column(in.e_BTHK)).sum(2);
      S_BHKV = S_BHKV + column(in.k_BTHK) * u_BHV.unsqueeze(2);
      o_BTHV.select(1, t).copy_((S_BHKV * column(in.q_BTHK)).sum(2) * in.scale);
    }
    in.state_BHKV.copy_(S_BHKV);
  });
  return o_BTHV;
}

/// A chunk's C tokens at once. With G the sums of g from the chunk's begin and D_ti = exp(G_t - G_i), channel by
/// channel, for i <= t:
///   u_t = w_t - Sᵀ (exp(G_t) e_t) - sum_{i < t} <D_ti e_t, k_i> u_i,
/// a triangular system for all u, in which S stands on the right side alone, so that it is solved for all chunks before
/// the first state is known: u = u0 - W S. Then
///   o_t = Sᵀ (exp(G_t) q_t) + sum_{i <= t} <D_ti q_t, k_i> u_i;   S' = diag(exp(G_C)) S + sum_i (D_Ci k_i) u_iᵀ.
EraseWrite erase_write_in_chunks(const EraseWriteInputs& in) {
  const int64_t B = in.q_BTHK.size(0), T = in.q_BTHK.size(1), H = in.q_BTHK.size(2), V = in.w_BTHV.size(3);
  if (T == 0) return {at::empty_like(in.w_BTHV), in.state_BHKV.clone()};
  const auto type = in.state_BHKV.scalar_type();
  // Tokens that are missing at the end have no key and no gate: they change nothing. N: chunks.
  const auto chunked = [&](const Tensor& x_BTHd) { return in_chunks_of(kEraseWriteChunk, x_BTHd, type); };
  const Tensor q_BHNCK = chunked(in.q_BTHK) * in.scale, k_BHNCK = chunked(in.k_BTHK), e_BHNCK = chunked(in.e_BTHK);
  // Sums in fp64: after a token that forgets much, differences of fp32 sums would have lost the small ones.
  const Tensor G_BHNCK = chunked(in.g_BTHK).to(at::kDouble).cumsum(3);
  const auto decay = [&](const Tensor& g) { return g.to(type).exp(); };
  const Tensor passed_BHNCK = decay(G_BHNCK);
  const Tensor last_BHN1K = G_BHNCK.narrow(3, kEraseWriteChunk - 1, 1);
  // Above the diagonal exp would overflow, and what is multiplied by zero afterwards has NaN for a gradient.
  const Tensor later_C1C1 =
      at::ones({kEraseWriteChunk, kEraseWriteChunk}, at::TensorOptions(at::kBool).device(G_BHNCK.device()))
          .triu(1)
          .unsqueeze(-1);
  const Tensor Dk_BHNCCK =
      decay((G_BHNCK.unsqueeze(4) - G_BHNCK.unsqueeze(3)).masked_fill(later_C1C1, 0)) * k_BHNCK.unsqueeze(3);
  const auto met = [&](const Tensor& x_BHNCK) { return Dk_BHNCCK.matmul(x_BHNCK.unsqueeze(-1)).squeeze(-1); };
  const Tensor A_BHNCC = met(e_BHNCK).tril(-1), score_BHNCC = met(q_BHNCK).tril();
  const auto solved = [&](const Tensor& x_BHNCd) {
    return at::linalg_solve_triangular(A_BHNCC, x_BHNCd, /*upper=*/false, /*left=*/true, /*unitriangular=*/true);
  };
  const Tensor u0_BHNCV = solved(chunked(in.w_BTHV)), W_BHNCK = solved(passed_BHNCK * e_BHNCK);
  const Tensor q_passed_BHNCK = passed_BHNCK * q_BHNCK;
  const Tensor kept_BHNKC = (decay(last_BHN1K - G_BHNCK) * k_BHNCK).transpose(3, 4);

  const auto u0_N = each_chunk(u0_BHNCV), W_N = each_chunk(W_BHNCK), q_passed_N = each_chunk(q_passed_BHNCK),
             score_N = each_chunk(score_BHNCC), kept_N = each_chunk(kept_BHNKC),
             passed_N = each_chunk(passed_BHNCK.select(3, kEraseWriteChunk - 1).unsqueeze(-1));
  Tensor S_BHKV = in.state_BHKV;
  std::vector<Tensor> o_N;
  for (size_t n = 0; n < u0_N.size(); ++n) {
    const Tensor u_BHCV = u0_N[n] - W_N[n].matmul(S_BHKV);
    o_N.push_back(q_passed_N[n].matmul(S_BHKV) + score_N[n].matmul(u_BHCV));
    S_BHKV = passed_N[n] * S_BHKV + kept_N[n].matmul(u_BHCV);
  }
  const Tensor o_BTHV = at::cat(o_N, 2).narrow(2, 0, T).transpose(1, 2).to(in.w_BTHV.scalar_type()).contiguous();
  return {o_BTHV.view({B, T, H, V}), S_BHKV};
}

}  // namespace

const EraseWriteKernels erase_write_reference{erase_write_in_chunks, erase_write_steps};

}  // namespace ingrain::ops
