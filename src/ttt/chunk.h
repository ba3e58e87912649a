// One chunk through the suffix and the head: its losses, and (for an inner step) its gradient with respect to the
// fast weights. DESIGN.md section 3.
#pragma once

#include "model/block.h"

#include <algorithm>
#include <functional>

namespace ingrain::ttt {

/// What a chunk's pass starts from.
struct ChunkInput {
  Tensor h_BTD;  // after the first suffix block's attention step (independent of the fast weights)
  std::vector<ops::KvWindow> past_S1;  // of suffix blocks 1 .. S-1: the positions before the chunk that it may see
  ops::RopeTable rope;                 // of the chunk's T positions
  // Where the chunk's own keys and values are put, [B, T, G, d], if it matters: behind their past, attention on a GPU
  // finds them in one piece with it.
  std::vector<ops::KvWindow> own_S1 = {};
  std::vector<Mlp> rounded_S = {};  // the fast weights in the compute type, where they are at hand
};

struct SuffixOutput {
  Tensor x_PBTD;  // after the final norm
  struct Kv {
    Tensor k_PBTGd, v_PBTGd;
  };
  std::vector<Kv> kv_S1;  // the chunk's own keys and values, of suffix blocks 1 .. S-1
};

/// The suffix (without its first attention step) and the final norm, one residual step at a time.
class SuffixPass {
 public:
  explicit SuffixPass(const Tensor& h_BTD) : h_PBTD_(h_BTD.unsqueeze(0)) {}
  /// How many steps there are, the final norm among them.
  static int64_t steps(const ModelConfig& config) { return std::max<int64_t>(3 * config.suffix_len, 1); }
  /// The next one. fast_S: one per suffix block.
  void step(const ModelConfig& config, const Weights& weights, const std::vector<FastMlp>& fast_S,
            const ops::RopeTable& rope, const Attend& attend, const Tap& tap = {});
  int64_t made() const { return made_; }
  /// After the last step. (Keys and values: as far as they are made.)
  const SuffixOutput& output() const& { return out_; }
  SuffixOutput output() && { return std::move(out_); }

 private:
  Tensor h_PBTD_;
  int64_t made_ = 0;
  SuffixOutput out_;
};

/// All of them.
SuffixOutput run_suffix(const ModelConfig& config, const Weights& weights, const std::vector<FastMlp>& fast_S,
                        const Tensor& h_BTD, const ops::RopeTable& rope, const Attend& attend, const Tap& tap = {});
/// The same, attending to the input's past.
SuffixOutput run_suffix(const ModelConfig& config, const Weights& weights, const std::vector<FastMlp>& fast_S,
                        const ChunkInput& in, const Tap& tap = {});

/// Which of a chunk's targets count, as weights whose sum over a row's valid tokens is 1:
/// mask / max(count, 1e-10), fp32 (fp64). target: [B, T]; valid: [B, T] bool.
Tensor mean_weights(const Tensor& valid_BT, at::ScalarType type);

struct ChunkGradient {
  Tensor loss_B;         // mean over the valid tokens, before the step
  Tensor nll_BT;         // not masked
  std::vector<Mlp> g_S;  // dL/dW, [B, 2F, D] and [B, D, F], fp32 (fp64), not clipped
  std::vector<SuffixOutput::Kv> kv_S1;
};

/// L_t and g_t. W_S: [B, ...] fast weights. Nothing but W is differentiated.
ChunkGradient chunk_gradient(const ModelConfig& config, const Weights& weights, const std::vector<Mlp>& W_S,
                             const ChunkInput& in, const Tensor& target_BT, const Tensor& valid_BT,
                             const Tap& tap = {});

/// Where a backward pass starts: at something made of a suffix's output, with its cotangent.
struct Start {
  Tensor of, cotangent;
};
/// A pass through the suffix and back to the fast weights, from where `start` says. Sets g and kv alone.
ChunkGradient differentiate(const ModelConfig& config, const Weights& weights, const std::vector<Mlp>& W_S,
                            const ChunkInput& in, const Tap& tap,
                            const std::function<Start(const Tensor& x_PBTD)>& start);

/// out = W - eta_l g min(1, c / |g|), with |g| over all fast weights of a sequence; out may be W. rounded: empty, or
/// what out's values go to in bf16, too. Returns |g| [B].
Tensor inner_step(const std::vector<Mlp>& W_S, const std::vector<Mlp>& g_S, const Tensor& eta_S, double clip,
                  const std::vector<Mlp>& out_S, const std::vector<Mlp>& rounded_S = {});

/// inner_lr times its multiplier (ilr warm-up; 1 when reading) times the learned rates: [S], fp32 (fp64).
Tensor inner_rates(const ModelConfig& config, const Weights& weights, double multiplier = 1);

}  // namespace ingrain::ttt
