#include "ops/windowed_attention/windowed_attention.h"

#include "ops/checks.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

constexpr int64_t kTileQueries = 128;

/// One tile: some queries and the keys that at least one of them sees, heads before positions.
/// A zero tangent (plane missing, or past keys) is an undefined or zero-filled tensor.
struct Tile {
  Tensor q_BHQd, dq_BHQd, k_BHKd, dk_BHKd, v_BHKd, dv_BHKd;
  Tensor hidden_QK;                               // true where the window hides the key
  int64_t first_query, queries, first_key, keys;  // keys counted from the start of the past
};

/// All inputs with the past in front, in fp32 (fp64), heads first: [P, B, heads, positions, d].
struct Inputs {
  Tensor q_P, k_P, v_P;
  int64_t past, window, groups;

  Inputs(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& kv, int64_t window)
      : past(kv.length()), window(window), groups(q_PBTHd.size(3) / k_PBTGd.size(3)) {
    const auto acc = accumulate_type(q_PBTHd.scalar_type());
    const auto with_past = [&](const Tensor& x_P, const Tensor& past_B) {
      if (past == 0) return x_P;
      Tensor first = past_B.unsqueeze(0);
      if (is_dual(x_P)) first = at::cat({first, at::zeros_like(first)});
      return at::cat({first, x_P}, 2);
    };
    q_P = q_PBTHd.to(acc).transpose(2, 3);
    k_P = with_past(k_PBTGd, kv.k_BWGd).to(acc).transpose(2, 3).repeat_interleave(groups, 2);
    v_P = with_past(v_PBTGd, kv.v_BWGd).to(acc).transpose(2, 3).repeat_interleave(groups, 2);
  }

  Tile tile(int64_t first_query) const {
    Tile t;
    t.first_query = first_query;
    t.queries = std::min(kTileQueries, q_P.size(3) - first_query);
    t.first_key = std::max<int64_t>(0, past + first_query - window + 1);
    t.keys = past + first_query + t.queries - t.first_key;
    const auto pick = [](const Tensor& x_P, int64_t first, int64_t n, Tensor& x, Tensor& dx) {
      x = primal(x_P).narrow(2, first, n);
      if (is_dual(x_P)) dx = tangent(x_P).narrow(2, first, n);
    };
    pick(q_P, t.first_query, t.queries, t.q_BHQd, t.dq_BHQd);
    pick(k_P, t.first_key, t.keys, t.k_BHKd, t.dk_BHKd);
    pick(v_P, t.first_key, t.keys, t.v_BHKd, t.dv_BHKd);
    const auto ints = at::TensorOptions().dtype(at::kLong).device(q_P.device());
    const Tensor i = at::arange(past + first_query, past + first_query + t.queries, ints).unsqueeze(1);
    const Tensor j = at::arange(t.first_key, t.first_key + t.keys, ints).unsqueeze(0);
    t.hidden_QK = j.gt(i).logical_or_(j.le(i - window));
    return t;
  }
};

Tensor times_transposed(const Tensor& a, const Tensor& b) { return a.matmul(b.transpose(-1, -2)); }
Tensor transposed_times(const Tensor& a, const Tensor& b) { return a.transpose(-1, -2).matmul(b); }

/// p = softmax(s), and in the dual case the tangent of the scores and its mean under p; the log of the softmax's sum.
struct Scores {
  Tensor p, ds, r, lse;
};

/// sums: those of a softmax over more keys than the tile's, [P, B, H, Q, 1]; undefined: over these.
Scores scores(const Tile& t, double scale, const Tensor& sums_P = {}) {
  Scores out;
  const Tensor s = (times_transposed(t.q_BHQd, t.k_BHKd) * scale)
                       .masked_fill_(t.hidden_QK, -std::numeric_limits<double>::infinity());
  out.lse = sums_P.defined() ? primal(sums_P) : s.logsumexp(-1, /*keepdim=*/true);
  out.p = sums_P.defined() ? (s - out.lse).exp() : s.softmax(-1);
  if (t.dq_BHQd.defined()) {
    out.ds = (times_transposed(t.dq_BHQd, t.k_BHKd) + times_transposed(t.q_BHQd, t.dk_BHKd)) * scale;
    out.r = sums_P.defined() ? tangent(sums_P) : (out.p * out.ds).sum(-1, /*keepdim=*/true);
  }
  return out;
}

AttentionKernels::Output forward(const Tensor& q_PBTHd, const Tensor& k_PBTGd, const Tensor& v_PBTGd,
                                 const KvWindow& past, int64_t window, double scale) {
  const Inputs in(q_PBTHd, k_PBTGd, v_PBTGd, past, window);
  const Tensor o_PBTHd = at::empty_like(q_PBTHd);
  const Tensor o_P = o_PBTHd.transpose(2, 3);
  const Tensor stats_P = at::empty({planes(o_P), o_P.size(1), o_P.size(2), o_P.size(3), 1}, in.q_P.options());
  for (int64_t first = 0; first < q_PBTHd.size(2); first += kTileQueries) {
    const Tile t = in.tile(first);
    const Scores s = scores(t, scale);
    const Tensor p = s.p.to(q_PBTHd.scalar_type()).to(s.p.scalar_type());  // weights are rounded like activations
    primal(o_P).narrow(2, first, t.queries).copy_(p.matmul(t.v_BHKd));
    primal(stats_P).narrow(2, first, t.queries).copy_(s.lse);
    if (is_dual(o_P)) {
      tangent(stats_P).narrow(2, first, t.queries).copy_(s.r);
      const Tensor dp = s.p * (s.ds - s.r);
      tangent(o_P).narrow(2, first, t.queries).copy_(dp.matmul(t.v_BHKd) + s.p.matmul(t.dv_BHKd));
    }
  }
  return {o_PBTHd, stats_P.squeeze(-1)};
}

AttentionKernels::Gradients backward(const Tensor& go_PBTHd, const Tensor& q_PBTHd, const Tensor& k_PBTGd,
                                     const Tensor& v_PBTGd, const KvWindow& past,
                                     const AttentionKernels::Output& output, int64_t window, double scale,
                                     bool want_past) {
  const Inputs in(q_PBTHd, k_PBTGd, v_PBTGd, past, window);
  const Tensor go_P = go_PBTHd.to(in.q_P.scalar_type()).transpose(2, 3);
  const Tensor gq_P = at::zeros_like(in.q_P), gk_P = at::zeros_like(in.k_P), gv_P = at::zeros_like(in.v_P);
  const Tensor o_P = output.with_sink ? output.o_PBTHd.to(in.q_P.scalar_type()).transpose(2, 3) : Tensor();
  for (int64_t first = 0; first < q_PBTHd.size(2); first += kTileQueries) {
    const Tile t = in.tile(first);
    const auto queries = [&](const Tensor& x) { return x.narrow(2, first, t.queries); };
    const auto keys = [&](const Tensor& x) { return x.narrow(2, t.first_key, t.keys); };
    const Tensor sums = output.with_sink ? output.stats.unsqueeze(-1).narrow(3, first, t.queries) : Tensor();
    const auto [p, ds, r, lse] = scores(t, scale, sums);
    const Tensor go = queries(primal(go_P));
    // The means under p that the softmax takes out of cotangents. Of a softmax over more keys than are here, they come
    // from its outputs: <p, go v> = <go, o>.
    const auto dot = [](const Tensor& a, const Tensor& b) { return (a * b).sum(-1, /*keepdim=*/true); };
    Tensor mean_gp = output.with_sink ? dot(go, queries(primal(o_P))) : Tensor();
    Tensor gp = times_transposed(go, t.v_BHKd);
    keys(primal(gv_P)).add_(transposed_times(p, go));
    if (go_P.size(0) == 2) {
      // dp = p (ds - r) with r = <p, ds>; c is the cotangent of dp, and <p, c> is taken out of it by the softmax.
      const Tensor gdo = queries(tangent(go_P));
      const Tensor c = times_transposed(gdo, t.v_BHKd);
      const Tensor p_c = output.with_sink ? dot(gdo, queries(primal(o_P))) : dot(p, c);
      if (output.with_sink) mean_gp = mean_gp + dot(gdo, queries(tangent(o_P))) - p_c * r;
      gp = gp + times_transposed(gdo, t.dv_BHKd) + c * (ds - r) - p_c * ds;
      keys(primal(gv_P)).add_(transposed_times(p * (ds - r), gdo));
      keys(tangent(gv_P)).add_(transposed_times(p, gdo));
      const Tensor gds = p * (c - p_c) * scale;
      queries(primal(gq_P)).add_(gds.matmul(t.dk_BHKd));
      queries(tangent(gq_P)).add_(gds.matmul(t.k_BHKd));
      keys(primal(gk_P)).add_(transposed_times(gds, t.dq_BHQd));
      keys(tangent(gk_P)).add_(transposed_times(gds, t.q_BHQd));
    }
    const Tensor gs = p * (gp - (output.with_sink ? mean_gp : dot(p, gp))) * scale;
    queries(primal(gq_P)).add_(gs.matmul(t.k_BHKd));
    keys(primal(gk_P)).add_(transposed_times(gs, t.q_BHQd));
  }
  const auto type = q_PBTHd.scalar_type();
  // Sums the heads that share a key, and splits off the past.
  const auto ungroup = [&](const Tensor& g_P) {
    return g_P.unflatten(2, {-1, in.groups}).sum(3).transpose(2, 3).to(type);
  };
  const Tensor gk = ungroup(gk_P), gv = ungroup(gv_P);
  const int64_t T = q_PBTHd.size(2);
  AttentionKernels::Gradients out{gq_P.transpose(2, 3).to(type).contiguous(),
                                  gk.narrow(2, in.past, T).contiguous(),
                                  gv.narrow(2, in.past, T).contiguous(),
                                  {},
                                  {}};
  if (want_past) {
    out.past_k_BWGd = primal(gk).narrow(1, 0, in.past).contiguous();
    out.past_v_BWGd = primal(gv).narrow(1, 0, in.past).contiguous();
  }
  return out;
}

}  // namespace

const AttentionKernels attention_reference{forward, backward};

}  // namespace ingrain::ops
