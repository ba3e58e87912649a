#include "ttt/chunk.h"

#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/sgd/sgd.h"

#include <ATen/ceil_div.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace ingrain::ttt {
namespace {

/// x, moved to a place in memory that is not autograd's.
struct PutFunction : torch::autograd::Function<PutFunction> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x, const Tensor& place) {
    place.copy_(x);
    return place.detach();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*, torch::autograd::variable_list grads) {
    return {grads[0], Tensor()};
  }
};

Tensor put(const Tensor& x_PBTGd, const Tensor& place_BTGd) { return PutFunction::apply(x_PBTGd, place_BTGd.unsqueeze(0)); }

}  // namespace

void SuffixPass::step(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const ops::RopeTable& rope,
                      const Attend& attend, const Tap& tap) {
  const int64_t at = ++made_, s = at / 3, i = c.prefix_len() + s;  // the first block's attention is step 0, made already
  if (s == c.suffix_len) {
    out_.x_PBTD = ops::rms_norm(h_PBTD_, w.final_norm_D, c.rms_eps);
    if (tap) tap("final_norm", -1, out_.x_PBTD);
    return;
  }
  const BlockWeights& block = w.blocks[static_cast<size_t>(i)];
  if (at % 3 == 0) {
    const AttentionStep done = attention_step(c, block, h_PBTD_, attend, rope, tap, i);
    h_PBTD_ = done.h_PBTD;
    out_.kv_S1.push_back({done.k_PBTGd, done.v_PBTGd});
  } else if (at % 3 == 1) {
    h_PBTD_ = fast_step(c, block, h_PBTD_, fast_S[static_cast<size_t>(s)], tap, i);
  } else {
    h_PBTD_ = mlp_step(c, block, h_PBTD_, tap, i);
  }
}

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const Tensor& h_BTD,
                        const ops::RopeTable& rope, const Attend& attend, const Tap& tap) {
  SuffixPass pass(h_BTD);
  while (pass.made() < SuffixPass::steps(c)) pass.step(c, w, fast_S, rope, attend, tap);
  return std::move(pass).output();
}

SuffixOutput run_suffix(const ModelConfig& c, const Weights& w, const std::vector<FastMlp>& fast_S, const ChunkInput& in,
                        const Tap& tap) {
  const auto attend = [&](int64_t block, const ops::Heads& now) {
    const auto s = static_cast<size_t>(block - c.prefix_len() - 1);
    if (in.own_S1.empty()) return attend_window(c, now, in.past_S1[s]);
    return attend_window(c, {now.q_PBTHd, put(now.k_PBTGd, in.own_S1[s].k_BWGd), put(now.v_PBTGd, in.own_S1[s].v_BWGd)}, in.past_S1[s]);
  };
  return run_suffix(c, w, fast_S, in.h_BTD, in.rope, attend, tap);
}

Tensor mean_weights(const Tensor& valid_BT, at::ScalarType type) {
  const Tensor mask_BT = valid_BT.to(type);
  return mask_BT / mask_BT.sum(1, /*keepdim=*/true).clamp_min(1e-10);
}

namespace {

/// Where a backward pass starts: from a suffix's output to something of it and that one's cotangent.
struct Start {
  Tensor of, cotangent;
};

/// A pass through the suffix and back, from wherever `start` says, to the fast weights. Sets g and kv.
ChunkGradient differentiate(const ModelConfig& c, const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                            const Tap& tap, const std::function<Start(const Tensor& x_PBTD)>& start) {
  const at::AutoGradMode grad(true);
  std::vector<FastMlp> fast_S;
  std::vector<Tensor> leaves;
  for (const Mlp& mlp : W_S) {
    FastMlp& fast = fast_S.emplace_back();
    fast.w = {mlp.w13_FD.detach().requires_grad_(), mlp.w2_DF.detach().requires_grad_()};
    if (!in.rounded_S.empty()) fast.rounded = in.rounded_S[fast_S.size() - 1];
    leaves.insert(leaves.end(), {fast.w.w13_FD, fast.w.w2_DF});
  }
  const SuffixOutput suffix = run_suffix(c, w, fast_S, in, tap);
  const Start from = start(suffix.x_PBTD);
  const auto g = torch::autograd::grad({from.of}, leaves, {from.cotangent});
  ChunkGradient out;
  for (size_t s = 0; s < W_S.size(); ++s) out.g_S.push_back({g[2 * s], g[2 * s + 1]});
  for (const auto& kv : suffix.kv_S1) out.kv_S1.push_back({kv.k_PBTGd.detach(), kv.v_PBTGd.detach()});
  return out;
}

}  // namespace

ChunkGradient chunk_gradient(const ModelConfig& c, const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                             const Tensor& target_BT, const Tensor& valid_BT, const Tap& tap) {
  const Tensor weight_BT = mean_weights(valid_BT, master_type(w.type()));
  Tensor nll_BT;
  ChunkGradient out = differentiate(c, w, W_S, in, tap, [&](const Tensor& x_PBTD) {
    const auto loss = ops::linear_cross_entropy(x_PBTD.flatten(1, 2), w.head(), target_BT.flatten(), weight_BT.flatten());
    nll_BT = loss.nll_N.view_as(weight_BT);
    return Start{loss.objective, at::ones_like(loss.objective)};
  });
  out.nll_BT = nll_BT;
  out.loss_B = (weight_BT * nll_BT).sum(1);
  return out;
}

/// Half of what is left, so that the last part, which the chunk's end waits for, is small; but not so small that reading the
/// weights is all its work.
int64_t ChunkAhead::part_tokens_at(int64_t first) const {
  const int64_t left = config_.chunk - first, least = std::max<int64_t>(most_ / 8, 1);
  return std::min(left, std::clamp(left / 2, least, most_));
}

constexpr int64_t kHeadRows = 4096;  // of the head in a step

int64_t ChunkAhead::steps_a_part() const { return SuffixPass::steps(config_) + at::ceil_div(config_.vocab_size, kHeadRows); }

int64_t ChunkAhead::steps_made() const {
  if (!part_) return 0;
  return part_->suffix.made() + (part_->head ? at::ceil_div(part_->head->added(), kHeadRows) : 0);
}

int64_t ChunkAhead::whole_parts(int64_t filled) const {
  int64_t end = done_;
  while (end < config_.chunk && end + part_tokens_at(end) <= filled) end += part_tokens_at(end);
  return end;
}

int64_t ChunkAhead::steps_due(int64_t filled) const {
  const int64_t steps = steps_a_part();
  int64_t due = -steps_made();
  for (int64_t end = done_ + part_tokens(); end <= filled && end < config_.chunk;) {
    const int64_t next = part_tokens_at(end), tokens = std::min(filled - end + 1, next);  // of those that the work is spread over
    due += at::ceil_div(steps * tokens, next);
    end += next;
  }
  return std::clamp<int64_t>(due, 0, (steps + 1) / 2);
}

void ChunkAhead::begin(const Tensor& h_BTD, const ops::RopeTable& rope, const Tensor& target_BT, const Tensor& valid_BT) {
  part_.emplace(Part{rope, target_BT, valid_BT, SuffixPass(h_BTD)});
}

void ChunkAhead::step(const Weights& w, const std::vector<Mlp>& W_S, const Attend& attend) {
  if (part_->suffix.made() < SuffixPass::steps(config_)) return suffix_step(w, W_S, attend);
  head_step(w);
  if (part_->head->added() == config_.vocab_size) finish_part(w);
}

void ChunkAhead::suffix_step(const Weights& w, const std::vector<Mlp>& W_S, const Attend& attend) {
  std::vector<FastMlp> fast_S;
  for (const Mlp& mlp : W_S) fast_S.push_back({mlp});
  const at::NoGradGuard no_grad;
  const size_t call = part_->suffix.made() == 0 ? 0 : tape_.next_call();
  const ops::Tape::Scope recording(tape_, ops::Tape::Mode::record, done_, part_tokens(), call);
  part_->suffix.step(config_, w, fast_S, part_->rope, attend);
}

void ChunkAhead::head_step(const Weights& w) {
  if (!part_->head) part_->head.emplace(ops::value(part_->suffix.output().x_PBTD).flatten(0, 1), part_->target_BT.flatten());
  part_->head->add(w.head(), std::min(kHeadRows, config_.vocab_size - part_->head->added()));
}

void ChunkAhead::finish_part(const Weights& w) {
  const Tensor& valid_BT = part_->valid_BT;
  const Tensor nll_N = part_->head->nll_N(), gx_ND = part_->head->gradient_ND(w.head()) * valid_BT.flatten().unsqueeze(1);
  const int64_t B = valid_BT.size(0), n = valid_BT.size(1);
  if (done_ == 0) {
    gx_PBTD_ = at::empty({1, B, config_.chunk, config_.hidden_size}, gx_ND.options());
    nll_BT_ = at::empty({B, config_.chunk}, nll_N.options());
  }
  gx_PBTD_.narrow(2, done_, n).copy_(gx_ND.view({1, B, n, -1}));
  nll_BT_.narrow(1, done_, n).copy_(nll_N.view({B, n}));
  part_.reset();
  done_ += n;
}

ChunkGradient ChunkAhead::gradient(const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in, const Tensor& valid_BT) {
  const ops::Tape::Scope replaying(tape_, ops::Tape::Mode::replay, 0, config_.chunk);
  const Tensor weight_BT = mean_weights(valid_BT, nll_BT_.scalar_type());
  // The parts' gradients are of sums; those of a mean are so many times smaller, in every sequence its own.
  const Tensor mean_B = weight_BT.amax(1);
  ChunkGradient out = differentiate(config_, w, W_S, in, {}, [&](const Tensor& x_PBTD) {
    return Start{x_PBTD, (gx_PBTD_ * mean_B.view({1, -1, 1, 1})).to(x_PBTD.scalar_type())};
  });
  out.nll_BT = nll_BT_;
  out.loss_B = (weight_BT * nll_BT_).sum(1);
  return out;
}

Tensor inner_step(const std::vector<Mlp>& W_S, const std::vector<Mlp>& g_S, const Tensor& eta_S, double clip,
                  const std::vector<Mlp>& out_S, const std::vector<Mlp>& rounded_S) {
  const auto flat = [](const std::vector<Mlp>& mlps) {
    std::vector<Tensor> out;
    for (const Mlp& mlp : mlps) out.insert(out.end(), {mlp.w13_FD, mlp.w2_DF});
    return out;
  };
  return ops::clipped_sgd(flat(W_S), flat(g_S), eta_S.repeat_interleave(2), clip, flat(out_S), flat(rounded_S));
}

Tensor inner_rates(const ModelConfig& c, const Weights& w, double multiplier) {
  const auto options = w.final_norm_D.options();
  if (w.inner_rate_S.defined()) return w.inner_rate_S.detach() * (c.inner_lr * multiplier);
  return at::full({c.suffix_len}, c.inner_lr * multiplier, options);
}

}  // namespace ingrain::ttt
