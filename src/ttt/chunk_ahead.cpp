#include "ttt/chunk_ahead.h"

#include <ATen/ceil_div.h>

#include <algorithm>

namespace ingrain::ttt {
namespace {

constexpr int64_t kHeadRows = 4096;  // of the head in a step

}  // namespace

/// Half of what is left, so that the last part, which the chunk's end waits for, is small; but not so small that
/// reading the weights is all its work.
int64_t ChunkAhead::part_tokens_at(int64_t first) const {
  const int64_t left = config_.chunk - first, least = std::max<int64_t>(most_ / 8, 1);
  return std::min(left, std::clamp(left / 2, least, most_));
}

int64_t ChunkAhead::steps_a_part() const {
  return SuffixPass::steps(config_) + at::ceil_div(config_.vocab_size, kHeadRows);
}

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
    const int64_t next = part_tokens_at(end),
                  tokens = std::min(filled - end + 1, next);  // of those that the work is spread over
    due += at::ceil_div(steps * tokens, next);
    end += next;
  }
  return std::clamp<int64_t>(due, 0, (steps + 1) / 2);
}

void ChunkAhead::begin(const Tensor& h_BTD, const ops::RopeTable& rope, const Tensor& target_BT,
                       const Tensor& valid_BT) {
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
  const size_t call = part_->suffix.made() == 0 ? 0 : activations_.next_call();
  const ops::ActivationCache::Scope storing(activations_, ops::ActivationCache::Mode::store, done_, part_tokens(),
                                            call);
  part_->suffix.step(config_, w, fast_S, part_->rope, attend);
}

void ChunkAhead::head_step(const Weights& w) {
  if (!part_->head)
    part_->head.emplace(ops::primal(part_->suffix.output().x_PBTD).flatten(0, 1), part_->target_BT.flatten());
  part_->head->add(w.head(), std::min(kHeadRows, config_.vocab_size - part_->head->added()));
}

void ChunkAhead::finish_part(const Weights& w) {
  const Tensor& valid_BT = part_->valid_BT;
  const Tensor nll_N = part_->head->nll_N(),
               gx_ND = part_->head->gradient_ND(w.head()) * valid_BT.flatten().unsqueeze(1);
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

ChunkGradient ChunkAhead::gradient(const Weights& w, const std::vector<Mlp>& W_S, const ChunkInput& in,
                                   const Tensor& valid_BT) {
  const ops::ActivationCache::Scope reusing(activations_, ops::ActivationCache::Mode::reuse, 0, config_.chunk);
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

}  // namespace ingrain::ttt
