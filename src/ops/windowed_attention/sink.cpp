// The sink's score s, value v and the window's lse, r, o; a = exp(lse - lse'), b = exp(s - lse') = 1 - a:
//   lse' = log(exp(lse) + exp(s)),   r' = a r + b ds,   o' = a o + b v
//   do' = a (do + (r - r') o) + b (ds - r') v
// and backward, as for any key (cpu/backward-inl.h):  C = <gdo, o'>,  E = <go, o'> + <gdo, do'>,  e = ds - r'
//   cot(ds) = b (<gdo, v> - C),   cot(s) = b (<go, v> + (<gdo, v> - C) e - E),   cot(v) = sum b (go + e gdo)
#include "ops/windowed_attention/sink.h"

#include "ops/checks.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

/// Scores like stats, [B, H, T], minus infinity where the sink is not seen.
Tensor seen_scores(const Sink& sink, int64_t past, int64_t window) {
  const Tensor s_BTH = primal(sink.s_PBTH);
  const Tensor s_BHT =
      s_BTH.to(accumulate_type(s_BTH.scalar_type())).transpose(1, 2).clone(at::MemoryFormat::Contiguous);
  if (sink.always) return s_BHT;
  const int64_t unseen = std::clamp<int64_t>(window - past, 0, s_BHT.size(2));
  s_BHT.narrow(2, 0, unseen).fill_(-std::numeric_limits<double>::infinity());
  return s_BHT;
}

Tensor log_sums(const Tensor& stats) { return stats.dim() == 4 ? primal(stats) : stats; }

/// [B, H, T] as a factor of [B, T, H, d].
Tensor of_rows(const Tensor& x_BHT) { return x_BHT.transpose(1, 2).unsqueeze(-1); }

Tensor of_heads(const Tensor& v_Gd, int64_t heads, at::ScalarType type) {
  return v_Gd.to(type).repeat_interleave(heads / v_Gd.size(0), 0);
}

/// o' and lse' alone.
AttentionKernels::Output join(const AttentionKernels::Output& from, const Sink& sink, int64_t past, int64_t window) {
  const Tensor lse = log_sums(from.stats), s = seen_scores(sink, past, window);
  const Tensor all = at::logaddexp(lse, s), b = of_rows((s - all).exp());
  const Tensor o = primal(from.o_PBTHd).to(b.scalar_type()), v_Hd = of_heads(sink.v_Gd, o.size(2), b.scalar_type());
  const Tensor out = at::lerp(o, v_Hd, b).to(from.o_PBTHd.scalar_type());
  return {out.unsqueeze(0), from.stats.dim() == 4 ? all.unsqueeze(0) : all, true};
}

AttentionKernels::Output join_dual(const AttentionKernels::Output& from, const Sink& sink, int64_t past,
                                   int64_t window) {
  const Tensor lse = primal(from.stats), r = tangent(from.stats);
  const Tensor s = seen_scores(sink, past, window);
  const Tensor ds = tangent(sink.s_PBTH).to(s.scalar_type()).transpose(1, 2);
  const Tensor all = at::logaddexp(lse, s), b = (s - all).exp(), a = (lse - all).exp();
  const Tensor r_all = a * r + b * ds;
  const Tensor o = primal(from.o_PBTHd).to(b.scalar_type()), tangent_o = tangent(from.o_PBTHd).to(b.scalar_type());
  const Tensor v_Hd = of_heads(sink.v_Gd, o.size(2), b.scalar_type());
  const Tensor out = at::stack({at::lerp(o, v_Hd, of_rows(b)), of_rows(a) * tangent_o + of_rows(a * (r - r_all)) * o +
                                                                   of_rows(b * (ds - r_all)) * v_Hd});
  return {out.to(from.o_PBTHd.scalar_type()), at::stack({all, r_all}), true};
}

}  // namespace

AttentionKernels::Output with_sink(const AttentionKernels::Output& window_only, const Sink& sink, int64_t past,
                                   int64_t window) {
  return is_dual(sink.s_PBTH) ? join_dual(window_only, sink, past, window) : join(window_only, sink, past, window);
}

SinkGradients sink_gradients(const Tensor& go_PBTHd, const AttentionKernels::Output& o_all, const Sink& sink,
                             int64_t past, int64_t window) {
  const Tensor lse = log_sums(o_all.stats), s = seen_scores(sink, past, window);
  const auto acc = s.scalar_type();
  const auto rows = [](const Tensor& x_BHT) { return x_BHT.transpose(1, 2); };  // [B, T, H]
  const Tensor b = rows((s - lse).exp()), go = primal(go_PBTHd).to(acc), o = primal(o_all.o_PBTHd).to(acc);
  const Tensor v_Hd = of_heads(sink.v_Gd, o.size(2), acc);
  const auto dot = [](const Tensor& x, const Tensor& y) { return (x * y).sum(-1); };
  Tensor gs_P, gv_BTHd = b.unsqueeze(-1) * go;
  if (is_dual(go_PBTHd)) {
    const Tensor gdo = tangent(go_PBTHd).to(acc), tangent_o = tangent(o_all.o_PBTHd).to(acc);
    const Tensor e = tangent(sink.s_PBTH).to(acc) - rows(tangent(o_all.stats)), c = dot(gdo, v_Hd) - dot(gdo, o);
    const Tensor E = dot(go, o) + dot(gdo, tangent_o);
    gs_P = at::stack({b * (dot(go, v_Hd) + c * e - E), b * c});
    gv_BTHd = gv_BTHd + (b * e).unsqueeze(-1) * gdo;
  } else {
    gs_P = (b * (dot(go, v_Hd) - dot(go, o))).unsqueeze(0);
  }
  const Tensor gv_Gd = gv_BTHd.sum({0, 1}).unflatten(0, {sink.v_Gd.size(0), -1}).sum(1);
  return {gs_P.to(sink.s_PBTH.scalar_type()), gv_Gd.to(sink.v_Gd.scalar_type())};
}

}  // namespace ingrain::ops
