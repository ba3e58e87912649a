// The suffix: what depends on the fast weights, from the first suffix block's attention to the final norm.
#pragma once

#include "model/block.h"

#include <algorithm>
#include <optional>

namespace ingrain::ttt {

/// What a pass over (a part of) a chunk starts from.
struct ChunkInput {
  Tensor h_BTD;  // after the first suffix block's attention (independent of the fast weights)
  // Of suffix blocks 1 .. S-1, as their mixers carry it: the positions before the chunk that it may see, or the state
  // after them.
  std::vector<ops::KvWindow> past_S1;
  std::vector<RecurrentState> state_S1;
  Rope rope;  // of the chunk's T positions
  // Where the chunk's own keys and values are put, [B, T, G, d], if it matters: behind their past, attention on a GPU
  // finds them in one piece with it.
  std::vector<ops::KvWindow> own_S1 = {};
  std::vector<Mlp> rounded_S = {};  // the fast weights in the compute type, where they are at hand
};

/// The fast weights that tokens of a chunk are read with.
struct ChunkWeights {
  std::vector<Mlp> W_S;
  // Those of the first `early_rows` tokens, W before the newest step, where it takes effect later (inner_step_delay).
  std::vector<Mlp> early_S = {};
  int64_t early_rows = 0;
};

/// As a pass takes them: one per suffix block.
std::vector<FastMlp> fast_mlps(const ChunkWeights& weights);

struct SuffixOutput {
  Tensor x_PBTD;  // after the final norm
  struct Kv {
    Tensor k_PBTGd, v_PBTGd;
  };
  // What suffix blocks 1 .. S-1 leave, given a ChunkInput: the chunk's own keys and values, or the state after it.
  std::vector<Kv> kv_S1;
  std::vector<RecurrentState> state_S1;
};

/// The suffix (without its first attention) and the final norm, one residual sublayer at a time.
class SuffixPass {
 public:
  explicit SuffixPass(const Tensor& h_BTD) : h_PBTD_(h_BTD.unsqueeze(0)) {}
  /// One that so many sublayers were passed in, to h [P, B, T, D].
  SuffixPass(const Tensor& h_PBTD, int64_t passed) : h_PBTD_(h_PBTD), passed_(passed) {}
  /// How many sublayers there are, the final norm among them.
  static int64_t sublayers(const ModelConfig& config) { return std::max<int64_t>(3 * config.suffix_len, 1); }
  /// The next one. fast_S: one per suffix block.
  void next(const ModelConfig& config, const Weights& weights, const std::vector<FastMlp>& fast_S, const Rope& rope,
            const Carry& carry, const Tap& tap = {});
  int64_t passed() const { return passed_; }
  /// The suffix block whose fast MLP sublayer `i` (0-based) is, if it is one.
  static std::optional<int64_t> fast_block(const ModelConfig& config, int64_t i) {
    return i % 3 == 0 && i / 3 < config.suffix_len ? std::optional(i / 3) : std::nullopt;
  }
  /// What the next one starts from; after the last one, what that started from.
  const Tensor& h_PBTD() const { return h_PBTD_; }
  /// After the last one: after the final norm.
  const Tensor& x_PBTD() const { return x_PBTD_; }

 private:
  Tensor h_PBTD_;
  int64_t passed_ = 0;
  Tensor x_PBTD_;
};

/// All of them: [P, B, T, D] after the final norm.
Tensor run_suffix(const ModelConfig& config, const Weights& weights, const std::vector<FastMlp>& fast_S,
                  const Tensor& h_BTD, const Rope& rope, const Carry& carry, const Tap& tap = {});
/// The same, carried on from the input's past.
SuffixOutput run_suffix(const ModelConfig& config, const Weights& weights, const std::vector<FastMlp>& fast_S,
                        const ChunkInput& in, const Tap& tap = {});

}  // namespace ingrain::ttt
