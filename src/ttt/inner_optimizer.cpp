#include "ttt/inner_optimizer.h"

#include "ops/orthogonalize/orthogonalize.h"
#include "ops/sgd/sgd.h"

#include <optional>

namespace ingrain::ttt {
namespace {

std::vector<Mlp> zeros_like_all(const std::vector<Mlp>& mlps) {
  std::vector<Mlp> out;
  for (const Mlp& m : mlps) out.push_back({at::zeros_like(m.w13_FD), at::zeros_like(m.w2_DF)});
  return out;
}

/// w13, w2 of the first block, of the second and so on.
std::vector<Tensor> matrices(const std::vector<Mlp>& mlps) {
  std::vector<Tensor> out;
  for (const Mlp& mlp : mlps) out.insert(out.end(), {mlp.w13_FD, mlp.w2_DF});
  return out;
}

/// eta of every matrix, in that order.
Tensor rates_of_matrices(const ModelConfig& c, const Tensor& eta_S) {
  Tensor eta_N = eta_S.repeat_interleave(2);
  if (c.inner.w13_factor != 1) eta_N.slice(0, 0, std::nullopt, 2).mul_(c.inner.w13_factor);
  return eta_N;
}

/// <a, b> of one layer's fast weights, per sequence.
Tensor dot_B(const Mlp& a, const Mlp& b) { return (a.w13_FD * b.w13_FD).sum({1, 2}) + (a.w2_DF * b.w2_DF).sum({1, 2}); }

Tensor by_sequence(const Tensor& x_B) { return x_B.view({-1, 1, 1}); }

/// min(1, c / |g|).
Tensor clip_scale(const ModelConfig& c, const Tensor& norm_B) { return (c.inner_clip / norm_B).clamp_max(1.0); }

/// s: what is no number makes a step, which shows it.
Tensor steps_made(const Tensor& norm_B) { return norm_B.ne(0).to(norm_B.scalar_type()); }

/// The clip's transpose: u if |g| <= c, else (c / |g|) (u - g <g, u> / |g|^2). scale_B is min(1, c / |g|).
std::vector<Mlp> clip_transposed(const std::vector<Mlp>& u_S, const std::vector<Mlp>& g_S, const Tensor& norm_B,
                                 const Tensor& scale_B) {
  Tensor g_u_B = dot_B(g_S[0], u_S[0]);
  for (size_t s = 1; s < u_S.size(); ++s) g_u_B = g_u_B + dot_B(g_S[s], u_S[s]);
  const Tensor along_B = at::where(scale_B < 1, g_u_B / norm_B.square(), at::zeros_like(norm_B));
  const Tensor scale_B11 = by_sequence(scale_B), along_B11 = by_sequence(along_B);
  std::vector<Mlp> out;
  for (size_t s = 0; s < u_S.size(); ++s)
    out.push_back({scale_B11 * (u_S[s].w13_FD - g_S[s].w13_FD * along_B11),
                   scale_B11 * (u_S[s].w2_DF - g_S[s].w2_DF * along_B11)});
  return out;
}

/// D of M', and its transpose at M'.
class Direction {
 public:
  /// M_BRC: `parts` matrices above each other (w1 and w3). keep: whether transposed() will be called.
  Direction(const StepRule& rule, const Tensor& M_BRC, int64_t parts, bool keep = false) : D_BRC_(M_BRC) {
    if (rule.config.inner.optimizer == InnerOptimizer::sgd) return;
    matrices_ = {M_BRC.size(0) * parts, M_BRC.size(1) / parts, M_BRC.size(2)};
    muon_.emplace(M_BRC.reshape(matrices_), rule.compute, keep);
    D_BRC_ = muon_->y_NRC().reshape(M_BRC.sizes());
  }
  const Tensor& D_BRC() const { return D_BRC_; }
  Tensor transposed(const Tensor& u_BRC) const {
    return muon_ ? muon_->transposed(u_BRC.reshape(matrices_)).reshape(u_BRC.sizes()) : u_BRC;
  }

 private:
  std::vector<int64_t> matrices_;
  std::optional<ops::Orthogonalized> muon_;
  Tensor D_BRC_;
};

Mlp times(const Mlp& x, const Tensor& factor) { return {x.w13_FD * factor, x.w2_DF * factor}; }

/// What every matrix' step takes of the sequences' gradients.
struct Factors {
  Tensor clip_B11, s_B11;
  Factors(const ModelConfig& c, const Tensor& norm_B)
      : clip_B11(by_sequence(clip_scale(c, norm_B))), s_B11(by_sequence(steps_made(norm_B))) {}
};

/// One matrix' step: `parts` matrices above each other, of rate eta. M and M_out: undefined without momentum.
void step_matrix(const StepRule& rule, const Factors& of, const Tensor& eta, int64_t parts, const Tensor& W0,
                 const Tensor& W, const Tensor& M_now, const Tensor& g, const Tensor& W_out, const Tensor& M_out) {
  const double beta = rule.config.inner.momentum, delta = rule.config.inner.decay;
  Tensor M = g * of.clip_B11;
  if (beta > 0) M = M_out.copy_(M_now + of.s_B11 * (M - (1 - beta) * M_now));
  Tensor change = eta * Direction(rule, M, parts).D_BRC();
  if (delta > 0) change = change + delta * (W - W0);
  W_out.copy_(W - of.s_B11 * change);
}

/// One block's. eta_N: of all matrices.
void step_block(const StepRule& rule, const Factors& of, const Tensor& eta_N, size_t l, const std::vector<Mlp>& W0_S,
                const FastState& now, const std::vector<Mlp>& g_S, const FastState& out) {
  const bool momentum = !now.M_S.empty();
  const auto step = [&](const Tensor Mlp::* matrix, size_t n, int64_t parts) {
    step_matrix(rule, of, eta_N[static_cast<int64_t>(n)], parts, W0_S[l].*matrix, now.W_S[l].*matrix,
                momentum ? now.M_S[l].*matrix : Tensor(), g_S[l].*matrix, out.W_S[l].*matrix,
                momentum ? out.M_S[l].*matrix : Tensor());
  };
  step(&Mlp::w13_FD, 2 * l, 2);
  step(&Mlp::w2_DF, 2 * l + 1, 1);
}

}  // namespace

std::vector<Mlp> resting_momentum(const ModelConfig& c, const std::vector<Mlp>& W_S) {
  return c.inner.momentum > 0 ? zeros_like_all(W_S) : std::vector<Mlp>();
}

Tensor inner_step(const StepRule& rule, const std::vector<Mlp>& W0_S, const Tensor& eta_S, const FastState& now,
                  const std::vector<Mlp>& g_S, const FastState& out, const std::vector<Mlp>& rounded_S) {
  const ModelConfig& c = rule.config;
  const Tensor eta_N = rates_of_matrices(c, eta_S);
  if (c.inner.plain())
    return ops::clipped_sgd(matrices(now.W_S), matrices(g_S), eta_N, c.inner_clip, matrices(out.W_S),
                            matrices(rounded_S));
  const at::NoGradGuard no_grad;
  const Tensor norm_B = inner_norm(g_S);
  const Factors factors(c, norm_B);
  for (size_t l = 0; l < now.W_S.size(); ++l) step_block(rule, factors, eta_N, l, W0_S, now, g_S, out);
  const auto W_out_N = matrices(out.W_S), rounded_N = matrices(rounded_S);
  for (size_t i = 0; i < rounded_N.size(); ++i) rounded_N[i].copy_(W_out_N[i]);
  return norm_B;
}

Tensor inner_norm(const std::vector<Mlp>& g_S) {
  Tensor squares_B = dot_B(g_S[0], g_S[0]);
  for (size_t s = 1; s < g_S.size(); ++s) squares_B = squares_B + dot_B(g_S[s], g_S[s]);
  return squares_B.sqrt();
}

void inner_step_of_block(const StepRule& rule, int64_t block, const std::vector<Mlp>& W0_S, const Tensor& eta_S,
                         const FastState& now, const std::vector<Mlp>& g_S, const Tensor& norm_B,
                         const FastState& out) {
  const at::NoGradGuard no_grad;
  step_block(rule, Factors(rule.config, norm_B), rates_of_matrices(rule.config, eta_S), static_cast<size_t>(block),
             W0_S, now, g_S, out);
}

Cotangents Cotangents::zeros(const ModelConfig& c, const std::vector<Mlp>& like_S) {
  return {zeros_like_all(like_S), resting_momentum(c, like_S),
          c.inner.decay > 0 ? zeros_like_all(like_S) : std::vector<Mlp>()};
}

std::vector<Mlp> inner_step_transposed(const StepRule& rule, const Tensor& eta_S, const StepMade& step, Cotangents& J,
                                       const Tensor& eta_rate_S) {
  const ModelConfig& c = rule.config;
  const bool plain = c.inner.plain();
  const double beta = c.inner.momentum, delta = c.inner.decay, f = c.inner.w13_factor;
  const Tensor scale_B = clip_scale(c, step.norm_B), s_B11 = by_sequence(steps_made(step.norm_B));
  std::vector<Mlp> u_S;  // -dJ/d(clipped g)
  for (size_t l = 0; l < J.lambda_S.size(); ++l) {
    Mlp& lambda = J.lambda_S[l];
    const Tensor eta = eta_S[static_cast<int64_t>(l)];
    const Mlp eta_lambda{f == 1 ? lambda.w13_FD * eta : lambda.w13_FD * (eta * f), lambda.w2_DF * eta};
    const Mlp M = !step.M_S.empty() ? step.M_S[l]  // M', but for the plain rule's clip
                  : plain           ? step.g_S[l]
                                    : times(step.g_S[l], by_sequence(scale_B));
    const Direction of_w13(rule, M.w13_FD, 2, /*keep=*/true), of_w2(rule, M.w2_DF, 1, /*keep=*/true);
    if (eta_rate_S.defined()) {
      const Mlp weighed{f == 1 ? of_w13.D_BRC() : of_w13.D_BRC() * f, of_w2.D_BRC()};
      const Tensor D_lambda_B = dot_B(weighed, lambda);
      eta_rate_S[static_cast<int64_t>(l)].sub_((D_lambda_B * (plain ? scale_B : s_B11.flatten())).sum());
    }
    if (plain) {
      u_S.push_back(eta_lambda);
      continue;
    }
    Mlp r = times(eta_lambda, s_B11);
    r = {of_w13.transposed(r.w13_FD), of_w2.transposed(r.w2_DF)};  // -dJ/dM'
    if (beta > 0) {
      Mlp& rho = J.rho_S[l];
      r = {rho.w13_FD + r.w13_FD, rho.w2_DF + r.w2_DF};
      rho = times(r, 1 - (1 - beta) * s_B11);
    }
    u_S.push_back(times(r, s_B11));
    if (delta > 0) {
      const Mlp back = times(lambda, delta * s_B11);
      J.of_start_S[l].w13_FD.add_(back.w13_FD);
      J.of_start_S[l].w2_DF.add_(back.w2_DF);
      lambda.w13_FD.sub_(back.w13_FD);
      lambda.w2_DF.sub_(back.w2_DF);
    }
  }
  return clip_transposed(u_S, step.g_S, step.norm_B, scale_B);
}

}  // namespace ingrain::ttt
