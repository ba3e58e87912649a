// The tangent method of docs/mathematics.md ("Learning to read"), with its letters: lambda is the cotangent of the fast
// weights, nu that of keys and values, and lambda' (here `direction`) what the inner step's transpose makes of lambda.
#include "base/error.h"
#include "model/device.h"
#include "model/rope.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ttt/inner_step.h"
#include "ttt/outer_batch.h"
#include "ttt/outer_gradient.h"
#include "ttt/segments.h"

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
        K_(c_.inner.steps),
        steps_((n_ - 1) * K_),
        type_(master_type(w_.type())),
        rope_(rope_table(c_, 0, T_, type_, w_.device())),
        prefix_(c_, gradients_, c_.prefix_len(), /*mixer_of_next=*/true, options.recompute, options.pause) {}

  OuterLoss run() {
    require_meta_trainable(c_, "meta_gradient");
    h_BTD_ = prefix_.forward(batch_.input_BT, rope_, options_.tap);
    prepare();
    forward_sweep();
    for (int64_t j = steps_; j >= 0; --j) {
      if (!kept_[index(j)].g_known && j < steps_) recompute_segment(j);
      if (options_.pause) options_.pause();
      reverse_step(j);
      kept_[index(j)] = {};
    }
    for (const auto* of_start_S : {&J_.lambda_S, &J_.of_start_S}) {
      for (size_t s = 0; s < of_start_S->size(); ++s) {
        const auto initial = gradients_.initial_fast(c_.prefix_len() + static_cast<int64_t>(s));
        if (initial[0].sum.defined()) initial[0].sum.add_((*of_start_S)[s].w13_FD.sum(0));
        if (initial[1].sum.defined()) initial[1].sum.add_((*of_start_S)[s].w2_DF.sum(0));
      }
    }
    if (options_.settled) options_.settled(gradients_.begin_of_block(c_.prefix_len() + 1));
    prefix_.backward(gh_BTD_, options_.settled);
    return {chunk_loss_BC_, nll_BT_, norm_BJ_.slice(1, 0, std::nullopt, K_)};
  }

 private:
  /// What the reverse sweep needs of inner step j, of which every chunk t but the last makes those from t K on: what it
  /// starts from always where a segment starts, and all of it while its segment is at hand.
  struct Kept {
    FastState start;
    std::vector<Mlp> early_S;  // where steps take effect later: what the step before started from
    std::vector<Mlp> g_S, M_after_S;
    bool g_known = false;
  };

  int64_t chunk_of_step(int64_t j) const { return j / K_; }
  /// Whether it is the chunk's first, made of the pass that scores it and leaves its keys and values.
  bool scores(int64_t j) const { return j % K_ == 0; }

  static size_t index(int64_t i) { return static_cast<size_t>(i); }

  void prepare() {
    const auto sums = h_BTD_.options().dtype(type_);
    chunk_loss_BC_ = at::zeros({B_, n_}, sums);
    norm_BJ_ = at::zeros({B_, steps_}, sums);
    nll_BT_ = at::empty({B_, T_}, sums);
    gh_BTD_ = at::empty_like(h_BTD_);
    eta_S_ = inner_rates(c_, w_, options_.rate_multiplier);
    for (int64_t s = 1; s < c_.suffix_len; ++s) {
      const std::vector<int64_t> shape{B_, T_, c_.num_kv_heads, c_.head_dim};
      const Tensor like = at::empty(shape, h_BTD_.options()), zero = at::zeros(shape, sums);
      kv_S1_.push_back({like, at::empty_like(like)});
      nu_S1_.push_back({zero, at::zeros_like(zero)});
    }
    kept_.resize(index(steps_ + 1));
    for (const Mlp& fast : w_.fast_S) {
      W0_S_.push_back({fast.w13_FD.detach(), fast.w2_DF.detach()});
      const auto each = [&](const Tensor& x) { return x.unsqueeze(0).repeat({B_, 1, 1}); };
      kept_[0].start.W_S.push_back({each(W0_S_.back().w13_FD), each(W0_S_.back().w2_DF)});
    }
    kept_[0].start.M_S = resting_momentum(c_, kept_[0].start.W_S);
    J_ = Cotangents::zeros(c_, kept_[0].start.W_S);
    choose_segment();
  }

  void choose_segment() {
    const FastState& start = kept_[0].start;
    const int64_t with_M = start.M_S.empty() ? 0 : 1, with_early = c_.inner.step_delay > 0 ? 1 : 0;
    segments_ = plan_segments(steps_ + 1, {2 + with_M, 1 + with_M + with_early, bytes_of(start.W_S)},
                              options_.keep_bytes, w_.device().is_cpu() ? 0 : options_.host_bytes);
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

  /// Those that the chunk of step j is read with.
  ChunkWeights weights_at(int64_t j) const {
    const Kept& at = kept_[index(j)];
    if (at.early_S.empty()) return {at.start.W_S};
    return {at.start.W_S, at.early_S, c_.inner.step_delay};
  }

  /// L, g and the step: from kept_[j].start to kept_[j + 1].start.
  void forward_step(int64_t j, bool first_time) {
    Kept& now = kept_[index(j)];
    const int64_t t = chunk_of_step(j);
    const ChunkGradient pass =
        chunk_gradient(c_, w_, weights_at(j), input(t), chunk_of(batch_.target_BT, t), chunk_of(batch_.valid_BT, t));
    if (first_time && scores(j)) {
      for (size_t s = 0; s < kv_S1_.size(); ++s) {
        chunk_of(kv_S1_[s].k_BWGd, t).copy_(ops::primal(pass.kv_S1[s].k_PBTGd));
        chunk_of(kv_S1_[s].v_BWGd, t).copy_(ops::primal(pass.kv_S1[s].v_PBTGd));
      }
    }
    FastState next{empty_like(now.start.W_S), empty_like(now.start.M_S)};
    norm_BJ_.select(1, j).copy_(inner_step({c_, w_.type()}, W0_S_, eta_S_, now.start, pass.g_S, next));
    now.g_S = pass.g_S;
    now.M_after_S = next.M_S;
    now.g_known = true;
    kept_[index(j + 1)].start = std::move(next);
    if (c_.inner.step_delay > 0) kept_[index(j + 1)].early_S = now.start.W_S;
  }

  /// All chunks but the last: it makes no step, and the reverse sweep computes its loss anyway.
  void forward_sweep() {
    for (int64_t j = 0; j < steps_; ++j) {
      if (options_.pause) options_.pause();
      forward_step(j, /*first_time=*/true);
      if ((j + 1) % segments_.length == 0) drop_segment(j + 1 - segments_.length);
    }
  }

  /// Forgets a finished segment, except what it starts from.
  void drop_segment(int64_t start) {
    for (int64_t j = start; j < start + segments_.length; ++j) {
      Kept& kept = kept_[index(j)];
      if (j > start)
        kept = {};
      else
        kept = {std::move(kept.start), std::move(kept.early_S), {}, {}, false};
    }
    if (segments_.on_host) move_start(kept_[index(start)], [](Tensor& x) { x = download(x); });
  }

  template <class Move>
  static void move_start(Kept& kept, const Move& move) {
    for (std::vector<Mlp>* of_start_S : {&kept.start.W_S, &kept.start.M_S, &kept.early_S})
      for (Mlp& mlp : *of_start_S) move(mlp.w13_FD), move(mlp.w2_DF);
  }

  void recompute_segment(int64_t last) {
    const Kept next = kept_[index(last + 1)];
    const int64_t first = last - last % segments_.length;
    if (segments_.on_host) move_start(kept_[index(first)], [&](Tensor& x) { x = upload(x, w_.device()); });
    for (int64_t j = first; j <= last; ++j) forward_step(j, /*first_time=*/false);
    kept_[index(last + 1)] = next;
  }

  /// lambda', by which lambda and what else goes back pass step j, and the learned rates' gradient.
  std::vector<Mlp> direction(int64_t j) {
    const Kept& now = kept_[index(j)];
    const Tensor& rate_sum_S = gradients_.sums().inner_rate_S;
    const Tensor of_eta_S = rate_sum_S.defined() ? at::zeros_like(rate_sum_S) : Tensor();
    auto out =
        inner_step_transposed({c_, w_.type()}, eta_S_, {now.g_S, now.M_after_S, norm_BJ_.select(1, j)}, J_, of_eta_S);
    if (rate_sum_S.defined()) rate_sum_S.add_(of_eta_S * (c_.inner_lr * options_.rate_multiplier));
    return out;
  }

  /// The chunk of step j on dual numbers, and one first-order backward of J: of its loss and what it leaves, where the
  /// step is the chunk's first; of what passes through the step alone, where it is another.
  void reverse_step(int64_t j) {
    const int64_t t = chunk_of_step(j);
    const bool last = j == steps_;
    const std::vector<Mlp> direction_S = last ? std::vector<Mlp>(J_.lambda_S.size()) : direction(j);
    const at::AutoGradMode grad(true);
    std::vector<Tensor> inputs;
    const auto leaf = [&](const Tensor& x) { return inputs.emplace_back(x.detach().requires_grad_()); };

    // Earlier weights of the first tokens move along the same direction: g is the derivative by one shift of both.
    std::vector<FastMlp> fast_S = fast_mlps(weights_at(j));
    const auto leaves = [&](const Mlp& x) { return Mlp{leaf(x.w13_FD), leaf(x.w2_DF)}; };
    for (size_t s = 0; s < fast_S.size(); ++s) fast_S[s].w = leaves(fast_S[s].w), fast_S[s].dw = direction_S[s];
    for (size_t s = 0; s < fast_S.size() && fast_S[s].early_rows > 0; ++s)
      fast_S[s].early = leaves(fast_S[s].early), fast_S[s].early_dw = direction_S[s];
    ChunkInput in = input(t);
    in.h_BTD = leaf(in.h_BTD);
    for (auto& past : in.past_S1)
      if (past.length() > 0) past = {leaf(past.k_BWGd), leaf(past.v_BWGd)};

    const SuffixOutput suffix = run_suffix(c_, w_, fast_S, in);
    const Tensor weight_BT = mean_weights(chunk_of(batch_.valid_BT, t), type_);
    const double share = scores(j) ? options_.loss_scale / static_cast<double>(n_ * B_) : 0;
    const auto J = ops::linear_cross_entropy(suffix.x_PBTD.flatten(1, 2), w_.head(),
                                             chunk_of(batch_.target_BT, t).flatten(), weight_BT.flatten() * share,
                                             last ? Tensor() : weight_BT.flatten(), gradients_.head_sum());
    if (scores(j)) {
      chunk_of(nll_BT_, t).copy_(J.nll_N.view_as(weight_BT));
      chunk_loss_BC_.select(1, t).copy_((weight_BT * J.nll_N.view_as(weight_BT)).sum(1));
    }

    std::vector<Tensor> outputs{J.objective}, cotangents{at::ones_like(J.objective)};
    for (size_t s = 0; scores(j) && s < suffix.kv_S1.size(); ++s) {
      outputs.insert(outputs.end(), {ops::primal(suffix.kv_S1[s].k_PBTGd), ops::primal(suffix.kv_S1[s].v_PBTGd)});
      cotangents.insert(cotangents.end(), {chunk_of(nu_S1_[s].k_BWGd, t).to(h_BTD_.scalar_type()),
                                           chunk_of(nu_S1_[s].v_BWGd, t).to(h_BTD_.scalar_type())});
    }
    take(j, GradientSums::backward(outputs, cotangents, suffix_entries(), inputs), in);
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
  void take(int64_t j, const std::vector<Tensor>& grads, const ChunkInput& in) {
    const int64_t t = chunk_of_step(j);
    auto next = grads.begin();
    for (Mlp& lambda : J_.lambda_S) {
      lambda.w13_FD.add_(*next++);
      lambda.w2_DF.add_(*next++);
    }
    take_early(j, next);
    const bool chunks_first = j == steps_ || j % K_ == K_ - 1;  // on the way back
    if (chunks_first)
      chunk_of(gh_BTD_, t).copy_(*next++);
    else
      chunk_of(gh_BTD_, t).add_(*next++);
    for (size_t s = 0; s < in.past_S1.size(); ++s) {
      if (in.past_S1[s].length() == 0) continue;
      past_of(nu_S1_[s].k_BWGd, s, t).add_(*next++);
      past_of(nu_S1_[s].v_BWGd, s, t).add_(*next++);
    }
  }

  /// The weights of chunk j's first tokens are step j - 1's start: what they get joins lambda when that is the
  /// cotangent of them.
  void take_early(int64_t j, std::vector<Tensor>::const_iterator& next) {
    for (size_t s = 0; s < of_early_S_.size(); ++s) {
      J_.lambda_S[s].w13_FD.add_(of_early_S_[s].w13_FD);
      J_.lambda_S[s].w2_DF.add_(of_early_S_[s].w2_DF);
    }
    of_early_S_.clear();
    for (size_t s = 0; s < kept_[index(j)].early_S.size(); ++s) {
      const Tensor& w13_FD = *next++;
      of_early_S_.push_back({w13_FD, *next++});
    }
  }

  const ModelConfig& c_;
  const GradientSums& gradients_;
  const Weights& w_;
  const GradientOptions& options_;
  const OuterBatch batch_;
  const int64_t B_, T_, n_, K_;  // sequences, tokens, chunks, inner steps a chunk
  const int64_t steps_;          // in all
  const at::ScalarType type_;
  const Rope rope_;
  BlockStack prefix_;
  Segments segments_;
  Tensor h_BTD_, gh_BTD_;  // the prefix's output and its cotangent
  std::vector<ops::KvWindow> kv_S1_,
      nu_S1_;  // keys and values of suffix blocks 1.., and their cotangents, [B, T, G, d]
  std::vector<Kept> kept_;
  std::vector<Mlp> W0_S_;
  std::vector<Mlp> of_early_S_;  // what the chunk after this one gave its early weights, which are this one's
  Cotangents J_;
  Tensor eta_S_, chunk_loss_BC_, norm_BJ_, nll_BT_;
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
