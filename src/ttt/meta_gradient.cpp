// The tangent method of docs/mathematics.md ("Learning to read"), with its letters: lambda is the cotangent of the fast
// weights, nu that of keys and values, u = eta * lambda, and lambda' (here `direction`) the clip's transpose applied to
// u.
#include "base/error.h"
#include "model/rope.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ttt/inner_step.h"
#include "ttt/outer_batch.h"
#include "ttt/outer_gradient.h"

#include <cmath>

namespace ingrain::ttt {
namespace {

std::vector<Mlp> empty_like(const std::vector<Mlp>& mlps) {
  std::vector<Mlp> out;
  for (const Mlp& m : mlps) out.push_back({at::empty_like(m.w13_FD), at::empty_like(m.w2_DF)});
  return out;
}

int64_t bytes_of(const std::vector<Mlp>& mlps) {
  int64_t bytes = 0;
  for (const Mlp& m : mlps) bytes += static_cast<int64_t>(m.w13_FD.nbytes() + m.w2_DF.nbytes());
  return bytes;
}

/// <a, b> of one layer's fast weights, per sequence.
Tensor dot_B(const Mlp& a, const Mlp& b) { return (a.w13_FD * b.w13_FD).sum({1, 2}) + (a.w2_DF * b.w2_DF).sum({1, 2}); }

/// The clip's transpose: u if |g| <= c, else (c / |g|) (u - g <g, u> / |g|^2). scale_B is min(1, c / |g|).
std::vector<Mlp> clip_transposed(const std::vector<Mlp>& u_S, const std::vector<Mlp>& g_S, const Tensor& norm_B,
                                 const Tensor& scale_B) {
  Tensor g_u_B = dot_B(g_S[0], u_S[0]);
  for (size_t s = 1; s < u_S.size(); ++s) g_u_B = g_u_B + dot_B(g_S[s], u_S[s]);
  const Tensor along_B = at::where(scale_B < 1, g_u_B / norm_B.square(), at::zeros_like(norm_B));
  const Tensor scale_B11 = scale_B.view({-1, 1, 1}), along_B11 = along_B.view({-1, 1, 1});
  std::vector<Mlp> out;
  for (size_t s = 0; s < u_S.size(); ++s)
    out.push_back({scale_B11 * (u_S[s].w13_FD - g_S[s].w13_FD * along_B11),
                   scale_B11 * (u_S[s].w2_DF - g_S[s].w2_DF * along_B11)});
  return out;
}

class MetaGradient {
 public:
  MetaGradient(const ModelConfig& config, const GradientSums& gradients, const Tensor& tokens_BT1,
               const GradientOptions& options)
      : c_(config),
        gradients_(gradients),
        w_(gradients.leaves()),
        options_(options),
        batch_(split_batch(config, tokens_BT1, w_.device())),
        B_(batch_.input_BT.size(0)),
        T_(batch_.input_BT.size(1)),
        n_(T_ / c_.chunk),
        type_(master_type(w_.type())),
        rope_(rope_table(c_, 0, T_, type_, w_.device())),
        prefix_(c_, gradients_, c_.prefix_len(), /*mixer_of_next=*/true, options.recompute) {}

  OuterLoss run() {
    require_meta_trainable(c_, "meta_gradient");
    h_BTD_ = prefix_.forward(batch_.input_BT, rope_, options_.tap);
    prepare();
    forward_sweep();
    for (int64_t t = n_ - 1; t >= 0; --t) {
      if (!kept_[index(t)].g_known && t < n_ - 1) recompute_segment(t);
      reverse_step(t);
      kept_[index(t)] = {};
    }
    for (size_t s = 0; s < lambda_S_.size(); ++s) {
      const auto initial = gradients_.initial_fast(c_.prefix_len() + static_cast<int64_t>(s));
      if (initial[0].sum.defined()) initial[0].sum.add_(lambda_S_[s].w13_FD.sum(0));
      if (initial[1].sum.defined()) initial[1].sum.add_(lambda_S_[s].w2_DF.sum(0));
    }
    prefix_.backward(gh_BTD_);
    return {chunk_loss_BC_, nll_BT_, norm_BC_};
  }

 private:
  /// What the reverse sweep needs of chunk t: W_t always where a segment starts, W_t and g_t while its segment is at
  /// hand.
  struct Kept {
    std::vector<Mlp> W_S, g_S;
    bool g_known = false;
  };

  static size_t index(int64_t i) { return static_cast<size_t>(i); }

  void prepare() {
    const auto sums = h_BTD_.options().dtype(type_);
    chunk_loss_BC_ = at::zeros({B_, n_}, sums);
    norm_BC_ = at::zeros({B_, n_ - 1}, sums);
    nll_BT_ = at::empty({B_, T_}, sums);
    gh_BTD_ = at::empty_like(h_BTD_);
    eta_S_ = inner_rates(c_, w_, options_.rate_multiplier);
    for (int64_t s = 1; s < c_.suffix_len; ++s) {
      const std::vector<int64_t> shape{B_, T_, c_.num_kv_heads, c_.head_dim};
      const Tensor like = at::empty(shape, h_BTD_.options()), zero = at::zeros(shape, sums);
      kv_S1_.push_back({like, at::empty_like(like)});
      nu_S1_.push_back({zero, at::zeros_like(zero)});
    }
    kept_.resize(index(n_));
    for (const Mlp& fast : w_.fast_S) {
      const auto each = [&](const Tensor& x) { return x.detach().unsqueeze(0).repeat({B_, 1, 1}); };
      kept_[0].W_S.push_back({each(fast.w13_FD), each(fast.w2_DF)});
      lambda_S_.push_back({at::zeros_like(kept_[0].W_S.back().w13_FD), at::zeros_like(kept_[0].W_S.back().w2_DF)});
    }
    choose_segment();
  }

  /// Segments of m chunks: n / m starts are kept, and twice m tensors (W_t, g_t) while one is at hand.
  void choose_segment() {
    const int64_t room = std::max<int64_t>(1, options_.keep_bytes / std::max<int64_t>(1, bytes_of(kept_[0].W_S)));
    segment_ = n_;
    if (2 * n_ > room) segment_ = std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(n_) / 2)));
  }

  Tensor chunk_of(const Tensor& x_BT, int64_t t) const { return x_BT.narrow(1, t * c_.chunk, c_.chunk); }

  /// The older positions that chunk t sees of a [B, T, ...] tensor, in suffix block s + 1.
  Tensor past_of(const Tensor& x_BT, size_t s, int64_t t) const {
    const int64_t window = c_.layer(c_.prefix_len() + 1 + static_cast<int64_t>(s)).window;
    const int64_t end = t * c_.chunk, begin = std::max<int64_t>(0, end - window + 1);
    return x_BT.narrow(1, begin, end - begin);
  }

  ChunkInput input(int64_t t) const {
    ChunkInput in{chunk_of(h_BTD_, t), {}, {}, slice(rope_, t * c_.chunk, c_.chunk)};
    for (size_t s = 0; s < kv_S1_.size(); ++s) {
      const Tensor k = past_of(kv_S1_[s].k_BWGd, s, t);
      in.past_S1.push_back(k.size(1) > 0 ? ops::KvWindow{k, past_of(kv_S1_[s].v_BWGd, s, t)} : ops::KvWindow{});
    }
    return in;
  }

  /// L_t, g_t, W_{t+1}: from kept_[t].W_S to kept_[t + 1].W_S.
  void forward_step(int64_t t, bool first_time) {
    Kept& now = kept_[index(t)];
    const ChunkGradient pass =
        chunk_gradient(c_, w_, now.W_S, input(t), chunk_of(batch_.target_BT, t), chunk_of(batch_.valid_BT, t));
    if (first_time) {
      for (size_t s = 0; s < kv_S1_.size(); ++s) {
        chunk_of(kv_S1_[s].k_BWGd, t).copy_(ops::primal(pass.kv_S1[s].k_PBTGd));
        chunk_of(kv_S1_[s].v_BWGd, t).copy_(ops::primal(pass.kv_S1[s].v_PBTGd));
      }
    }
    std::vector<Mlp> next = empty_like(now.W_S);
    norm_BC_.select(1, t).copy_(inner_step(now.W_S, pass.g_S, eta_S_, c_.inner_clip, next));
    now.g_S = pass.g_S;
    now.g_known = true;
    kept_[index(t + 1)].W_S = std::move(next);
  }

  /// All chunks but the last: it makes no step, and the reverse sweep computes its loss anyway.
  void forward_sweep() {
    for (int64_t t = 0; t + 1 < n_; ++t) {
      forward_step(t, /*first_time=*/true);
      if ((t + 1) % segment_ == 0) drop_segment(t + 1 - segment_);
    }
  }

  /// Forgets a finished segment, except the fast weights at its start.
  void drop_segment(int64_t start) {
    for (int64_t t = start; t < start + segment_; ++t) {
      if (t > start) kept_[index(t)].W_S.clear();
      kept_[index(t)].g_S.clear();
      kept_[index(t)].g_known = false;
    }
  }

  void recompute_segment(int64_t last) {
    const auto W_next = kept_[index(last + 1)].W_S;
    for (int64_t t = last - last % segment_; t <= last; ++t) forward_step(t, /*first_time=*/false);
    kept_[index(last + 1)].W_S = W_next;
  }

  /// u = eta lambda through the clip's transpose, and the learned rates' gradient
  /// -sum over sequences of min(1, c / |g|) <g, lambda>.
  std::vector<Mlp> direction(int64_t t) {
    const Kept& now = kept_[index(t)];
    const Tensor norm_B = norm_BC_.select(1, t), scale_B = (c_.inner_clip / norm_B).clamp_max(1.0);
    std::vector<Mlp> u_S;
    for (size_t s = 0; s < lambda_S_.size(); ++s) {
      const Tensor eta = eta_S_[static_cast<int64_t>(s)];
      u_S.push_back({lambda_S_[s].w13_FD * eta, lambda_S_[s].w2_DF * eta});
      if (const Tensor& rate_sum = gradients_.sums().inner_rate_S; rate_sum.defined()) {
        const Tensor g = (scale_B * dot_B(now.g_S[s], lambda_S_[s])).sum();
        rate_sum[static_cast<int64_t>(s)].sub_(g * (c_.inner_lr * options_.rate_multiplier));
      }
    }
    return clip_transposed(u_S, now.g_S, norm_B, scale_B);
  }

  /// Chunk t on dual numbers, and one first-order backward of J.
  void reverse_step(int64_t t) {
    const bool last = t == n_ - 1;
    const std::vector<Mlp> direction_S = last ? std::vector<Mlp>(lambda_S_.size()) : direction(t);
    const at::AutoGradMode grad(true);
    std::vector<Tensor> inputs;
    const auto leaf = [&](const Tensor& x) { return inputs.emplace_back(x.detach().requires_grad_()); };

    std::vector<FastMlp> fast_S;
    for (size_t s = 0; s < direction_S.size(); ++s) {
      const Mlp& W = kept_[index(t)].W_S[s];
      fast_S.push_back({{leaf(W.w13_FD), leaf(W.w2_DF)}, direction_S[s]});
    }
    ChunkInput in = input(t);
    in.h_BTD = leaf(in.h_BTD);
    for (auto& past : in.past_S1)
      if (past.length() > 0) past = {leaf(past.k_BWGd), leaf(past.v_BWGd)};

    const SuffixOutput suffix = run_suffix(c_, w_, fast_S, in);
    const Tensor weight_BT = mean_weights(chunk_of(batch_.valid_BT, t), type_);
    const double share = options_.loss_scale / static_cast<double>(n_ * B_);
    const auto J = ops::linear_cross_entropy(suffix.x_PBTD.flatten(1, 2), w_.head(),
                                             chunk_of(batch_.target_BT, t).flatten(), weight_BT.flatten() * share,
                                             last ? Tensor() : weight_BT.flatten(), gradients_.head_sum());
    chunk_of(nll_BT_, t).copy_(J.nll_N.view_as(weight_BT));
    chunk_loss_BC_.select(1, t).copy_((weight_BT * J.nll_N.view_as(weight_BT)).sum(1));

    std::vector<Tensor> outputs{J.objective}, cotangents{at::ones_like(J.objective)};
    for (size_t s = 0; s < suffix.kv_S1.size(); ++s) {
      outputs.insert(outputs.end(), {ops::primal(suffix.kv_S1[s].k_PBTGd), ops::primal(suffix.kv_S1[s].v_PBTGd)});
      cotangents.insert(cotangents.end(), {chunk_of(nu_S1_[s].k_BWGd, t).to(h_BTD_.scalar_type()),
                                           chunk_of(nu_S1_[s].v_BWGd, t).to(h_BTD_.scalar_type())});
    }
    take(t, GradientSums::backward(outputs, cotangents, suffix_entries(), inputs), in);
  }

  /// Every slow parameter that the suffix uses, but the head (the first block's attention belongs to the prefix).
  std::vector<GradientSums::Entry> suffix_entries() const {
    auto entries = gradients_.slow(Step::final_norm);
    for (int64_t i = c_.prefix_len(); i < c_.num_layers; ++i) {
      if (i > c_.prefix_len()) append(entries, gradients_.slow(Step::mixer, i));
      append(entries, gradients_.slow(Step::fast, i));
      append(entries, gradients_.slow(Step::mlp, i));
    }
    return entries;
  }

  /// Distributes the gradients of reverse_step's inputs, in the order in which they became leaves.
  void take(int64_t t, const std::vector<Tensor>& grads, const ChunkInput& in) {
    auto next = grads.begin();
    for (Mlp& lambda : lambda_S_) {
      lambda.w13_FD.add_(*next++);
      lambda.w2_DF.add_(*next++);
    }
    chunk_of(gh_BTD_, t).copy_(*next++);
    for (size_t s = 0; s < in.past_S1.size(); ++s) {
      if (in.past_S1[s].length() == 0) continue;
      past_of(nu_S1_[s].k_BWGd, s, t).add_(*next++);
      past_of(nu_S1_[s].v_BWGd, s, t).add_(*next++);
    }
  }

  const ModelConfig& c_;
  const GradientSums& gradients_;
  const Weights& w_;
  const GradientOptions& options_;
  const OuterBatch batch_;
  const int64_t B_, T_, n_;
  const at::ScalarType type_;
  const Rope rope_;
  BlockStack prefix_;
  int64_t segment_ = 1;
  Tensor h_BTD_, gh_BTD_;  // the prefix's output and its cotangent
  std::vector<ops::KvWindow> kv_S1_,
      nu_S1_;  // keys and values of suffix blocks 1.., and their cotangents, [B, T, G, d]
  std::vector<Kept> kept_;
  std::vector<Mlp> lambda_S_;
  Tensor eta_S_, chunk_loss_BC_, norm_BC_, nll_BT_;
};

}  // namespace

void require_meta_trainable(const ModelConfig& c, std::string_view where) {
  for (int64_t i = c.prefix_len() + 1; i < c.num_layers; ++i)
    require(!mixer_of(c, i).recurrent(),
            "{}: train.mode = \"meta\" needs attention in the suffix's blocks after the first, but block {} has a "
            "recurrent mixer; give it attention, or set train.mode = \"standard\"",
            where, i);
}

OuterLoss meta_gradient(const ModelConfig& config, const GradientSums& gradients, const Tensor& tokens_BT1,
                        const GradientOptions& options) {
  return MetaGradient(config, gradients, tokens_BT1, options).run();
}

}  // namespace ingrain::ttt
