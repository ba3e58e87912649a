#include "reverse_over_reverse.h"

#include "model/mixers/attention/weights.h"
#include "ops/autograd.h"

#include <cmath>

namespace ingrain::test {
namespace {

Tensor norm(const Tensor& x, const Tensor& w, double eps) {
  return w.defined() ? x * (x.square().mean(-1, true) + eps).rsqrt() * w : x;
}

/// Rotates x [T, heads, d] by interleaved pairs at positions first, first + 1, ...
Tensor rope(const ModelConfig& c, const Tensor& x, int64_t first) {
  const Tensor pos = at::arange(first, first + x.size(0), x.options()).view({-1, 1, 1});
  const Tensor f =
      at::pow(c.rope_theta, at::arange(0, c.head_dim, 2, x.options()) * (-1.0 / static_cast<double>(c.head_dim)));
  const Tensor cos = (pos * f).cos(), sin = (pos * f).sin();
  const Tensor a = x.slice(-1, 0, std::nullopt, 2), b = x.slice(-1, 1, std::nullopt, 2);
  return at::stack({a * cos - b * sin, b * cos + a * sin}, -1).flatten(-2);
}

struct Kv {
  Tensor k, v;  // [positions, G, d], from position 0
};

/// Attention of tokens first .. first + T - 1 of one sequence; kv holds all positions before and gets these.
Tensor attention(const ModelConfig& c, const LayerSpec& layer, const BlockWeights& w, const Tensor& x, Kv& kv,
                 int64_t first) {
  const auto turned = [&](const Tensor& heads) { return layer.rotated ? rope(c, heads, first) : heads; };
  const Tensor qkv = x.matmul(w.mixer.of<AttentionWeights>().wqkv_CD.t());
  const auto parts =
      qkv.split_with_sizes({c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim, c.num_kv_heads * c.head_dim}, -1);
  const Tensor q = turned(
      norm(parts[0].unflatten(-1, {c.num_heads, c.head_dim}), w.mixer.of<AttentionWeights>().q_norm_d, c.rms_eps));
  const Tensor k = turned(
      norm(parts[1].unflatten(-1, {c.num_kv_heads, c.head_dim}), w.mixer.of<AttentionWeights>().k_norm_d, c.rms_eps));
  const Tensor v = parts[2].unflatten(-1, {c.num_kv_heads, c.head_dim});
  kv = kv.k.defined() ? Kv{at::cat({kv.k, k}), at::cat({kv.v, v})} : Kv{k, v};
  const int64_t groups = c.num_heads / c.num_kv_heads;
  const Tensor i = at::arange(first, first + x.size(0)).unsqueeze(1), j = at::arange(kv.k.size(0)).unsqueeze(0);
  const int64_t keys = layer.window - (layer.sink ? 1 : 0);
  const Tensor hidden = j.gt(i).logical_or(j.le(i - keys));
  const Tensor s =
      at::einsum("qhd,khd->hqk", {q, kv.k.repeat_interleave(groups, 1)}) / std::sqrt(static_cast<double>(c.head_dim));
  Tensor seen = s.masked_fill(hidden, -INFINITY), values = kv.v;
  if (layer.sink) {
    // One more key for queries that do not see the first one any more.
    const Tensor sink =
        x.matmul(w.mixer.of<AttentionWeights>().sink_HD.t()).t().unsqueeze(-1).masked_fill(i.lt(keys), -INFINITY);
    seen = at::cat({seen, sink}, -1);
    values = at::cat({values, w.mixer.of<AttentionWeights>().sink_v_C.view({1, c.num_kv_heads, c.head_dim})});
  }
  const Tensor p = seen.softmax(-1);
  return at::einsum("hqk,khd->qhd", {p, values.repeat_interleave(groups, 1)})
      .flatten(1)
      .matmul(w.mixer.of<AttentionWeights>().wo_DC.t());
}

Tensor mlp(const Tensor& x, const Tensor& w13, const Tensor& w2) {
  const auto ab = x.matmul(w13.t()).chunk(2, -1);
  return (at::silu(ab[0]) * ab[1]).matmul(w2.t());
}

/// Five steps of Newton and Schulz on one matrix.
Tensor orthogonal(const Tensor& m) {
  Tensor x = m / m.norm();
  for (int i = 0; i < 5; ++i) {
    const Tensor xx = x.matmul(x.t());
    x = 3.4445 * x - 4.7750 * xx.matmul(x) + 2.0315 * xx.matmul(xx).matmul(x);
  }
  const double tall = static_cast<double>(m.size(0)) / static_cast<double>(m.size(1));
  return tall > 1 ? x * std::sqrt(tall) : x;
}

Tensor direction(const InnerRule& rule, const Tensor& m, bool two_matrices) {
  if (rule.optimizer == InnerOptimizer::sgd) return m;
  if (m.abs().max().item<double>() == 0) return m * 0;
  if (!two_matrices) return orthogonal(m);
  const auto each = m.chunk(2, 0);
  return at::cat({orthogonal(each[0]), orthogonal(each[1])}, 0);
}

/// One inner step of one sequence: fast weights and momentum (w13, w2 of every block) by their gradient.
void inner_step(const ModelConfig& c, const Weights& w, double multiplier, const std::vector<Tensor>& g,
                std::vector<Tensor>& fast, std::vector<Tensor>& momentum) {
  Tensor squares = at::zeros({}, g[0].options());
  for (const Tensor& x : g) squares = squares + x.square().sum();
  if (squares.item<double>() == 0) {  // the same values, but not what older keys and values were made with
    for (Tensor& x : fast) x = x * 1;
    return;
  }
  const Tensor scale = (c.inner_clip / squares.sqrt()).clamp_max(1.0);
  for (size_t i = 0; i < fast.size(); ++i) {
    const bool w13 = i % 2 == 0;
    const Tensor rate =
        w.inner_rate_S.defined() ? w.inner_rate_S[static_cast<int64_t>(i / 2)] : at::ones({}, fast[i].options());
    const Mlp& start = w.fast_S[i / 2];
    momentum[i] = c.inner.momentum * momentum[i] + scale * g[i];
    fast[i] = fast[i] -
              rate * (c.inner_lr * multiplier * (w13 ? c.inner.w13_factor : 1)) * direction(c.inner, momentum[i], w13) -
              c.inner.decay * (fast[i] - (w13 ? start.w13_FD : start.w2_DF));
  }
}

Tensor sequence_loss(const ModelConfig& c, const Weights& w, const Tensor& tokens, bool learn, double multiplier) {
  const int64_t T = tokens.size(0) - 1, n = T / c.chunk, first_suffix = c.prefix_len();
  Tensor h = w.embedding_VD.index_select(0, tokens.narrow(0, 0, T));
  const auto attend = [&](int64_t i, const Tensor& h, Kv& kv, int64_t first) {
    const BlockWeights& b = w.blocks[static_cast<size_t>(i)];
    return h + norm(attention(c, c.layer(i), b, norm(h, b.attn_norm_D, c.rms_eps), kv, first), b.attn_post_norm_D,
                    c.rms_eps);
  };
  const auto ordinary = [&](int64_t i, const Tensor& h) {
    const BlockWeights& b = w.blocks[static_cast<size_t>(i)];
    return h + norm(mlp(norm(h, b.mlp_norm_D, c.rms_eps), b.mlp.w13_FD, b.mlp.w2_DF), b.mlp_post_norm_D, c.rms_eps);
  };
  for (int64_t i = 0; i < first_suffix; ++i) {
    Kv kv;
    h = ordinary(i, attend(i, h, kv, 0));
  }
  std::vector<Kv> kv(static_cast<size_t>(c.suffix_len));
  std::vector<Tensor> fast;
  for (const Mlp& m : w.fast_S) fast.insert(fast.end(), {m.w13_FD, m.w2_DF});
  std::vector<Tensor> momentum;
  for (const Tensor& x : fast) momentum.push_back(at::zeros_like(x));
  Tensor total = at::zeros({}, h.options());
  const int64_t d = c.inner.step_delay;
  std::vector<Tensor> early = fast;  // of a chunk's first d tokens
  // The loss of chunk t at the fast weights as they are; `kv` holds all positions before and gets the chunk's.
  const auto chunk_loss = [&](int64_t t, std::vector<Kv>& kv) {
    Tensor x = h.narrow(0, t * c.chunk, c.chunk);
    for (int64_t s = 0; s < c.suffix_len; ++s) {
      const BlockWeights& b = w.blocks[static_cast<size_t>(first_suffix + s)];
      x = attend(first_suffix + s, x, kv[static_cast<size_t>(s)], t * c.chunk);
      const auto i = static_cast<size_t>(2 * s);
      const Tensor in = norm(x, b.fast_norm_D, c.rms_eps);
      const Tensor out = at::cat(
          {mlp(in.narrow(0, 0, d), early[i], early[i + 1]), mlp(in.narrow(0, d, c.chunk - d), fast[i], fast[i + 1])});
      x = x + norm(out, b.fast_post_norm_D, c.rms_eps);
      x = ordinary(first_suffix + s, x);
    }
    const Tensor target = tokens.narrow(0, t * c.chunk + 1, c.chunk), mask = target.ne(c.bos_id).to(x.scalar_type());
    const Tensor log_p = norm(x, w.final_norm_D, c.rms_eps).matmul(w.head().t()).log_softmax(-1);
    return -(log_p.gather(1, target.unsqueeze(1)).squeeze(1) * mask).sum() / mask.sum().clamp_min(1e-10);
  };
  for (int64_t t = 0; t < n; ++t) {
    const std::vector<Kv> before = kv;
    std::vector<Tensor> shift;  // of the chunk's weights, the early and the others alike
    const std::vector<Tensor> W = fast;
    if (d > 0 && learn) {
      for (size_t i = 0; i < fast.size(); ++i) {
        shift.push_back(at::zeros_like(fast[i]).requires_grad_());
        early[i] = early[i] + shift[i];
        fast[i] = fast[i] + shift[i];
      }
    }
    Tensor L = chunk_loss(t, kv);
    total = total + L / static_cast<double>(n);
    if (!learn || c.suffix_len == 0) continue;
    for (int64_t k = 0; k < c.inner.steps; ++k) {
      std::vector<Kv> not_kept = before;
      if (k > 0) L = chunk_loss(t, not_kept);
      const auto g = ops::gradients({L}, d > 0 ? shift : fast, {}, {.create_graph = true});
      if (d > 0) fast = W;
      inner_step(c, w, multiplier, g, fast, momentum);
    }
    early = d > 0 ? W : fast;
  }
  return total;
}

}  // namespace

Tensor plain_outer_loss(const ModelConfig& c, const Weights& w, const Tensor& tokens_BT1, bool learn,
                        double multiplier) {
  const at::AutoGradMode grad(true);
  Tensor total = at::zeros({}, w.final_norm_D.options());
  for (int64_t b = 0; b < tokens_BT1.size(0); ++b)
    total = total + sequence_loss(c, w, tokens_BT1[b], learn, multiplier);
  return total / static_cast<double>(tokens_BT1.size(0));
}

}  // namespace ingrain::test
