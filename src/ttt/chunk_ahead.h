// The forward passes of a chunk's inner step, made while its tokens come.
#pragma once

#include "ops/linear_cross_entropy/pieces.h"
#include "ops/activation_cache.h"
#include "ttt/chunk.h"

#include <optional>

namespace ingrain::ttt {

/// chunk_gradient of a chunk that is passed forward ahead of its end, a part at a time: suffix, head, and the loss's
/// gradient at the head; what is left is one backward pass. A part's work is spread, in steps, over the tokens until
/// the next part is whole.
class ChunkAhead {
 public:
  /// most: tokens of a part. The last ones of a chunk are smaller, since its end waits for the last.
  ChunkAhead(const ModelConfig& config, int64_t most) : config_(config), most_(most), activations_(config.chunk) {}

  int64_t done() const { return done_; }  // tokens of whole parts
  /// The part under way, or the next one, is that of tokens done() .. done() + part_tokens() - 1.
  int64_t part_tokens() const { return part_tokens_at(done_); }
  bool under_way() const { return part_.has_value(); }
  /// How many tokens the parts have that are whole with `filled` tokens.
  int64_t whole_parts(int64_t filled) const;
  /// The part's tokens: their states and angles as in a ChunkInput, their targets and which of them count.
  void begin(const Tensor& h_BTD, const ops::RopeTable& rope, const Tensor& target_BT, const Tensor& valid_BT);
  /// How many steps should be made once `filled` tokens of the chunk are there. A backlog is worked off gradually.
  int64_t steps_due(int64_t filled) const;
  /// The part's next step. attend: to what its tokens may see, earlier parts included; W as for chunk_gradient, the
  /// same for all parts. REQUIRES: under_way().
  void step(const Weights& weights, const std::vector<Mlp>& W_S, const Attend& attend);
  /// The whole chunk's, once done() is its length. `in`, `valid` as for chunk_gradient.
  ChunkGradient gradient(const Weights& weights, const std::vector<Mlp>& W_S, const ChunkInput& in,
                         const Tensor& valid_BT);

 private:
  struct Part {
    ops::RopeTable rope;
    Tensor target_BT, valid_BT;
    SuffixPass suffix;
    std::optional<ops::CrossEntropyInPieces> head = {};  // once the suffix is passed
  };
  int64_t part_tokens_at(int64_t first) const;
  /// Those of the suffix, then the head in pieces that take about as long.
  int64_t steps_a_part() const;
  int64_t steps_made() const;
  void suffix_step(const Weights& weights, const std::vector<Mlp>& W_S, const Attend& attend);
  void head_step(const Weights& weights);
  void finish_part(const Weights& weights);

  const ModelConfig config_;
  const int64_t most_;
  ops::ActivationCache activations_;
  int64_t done_ = 0;
  std::optional<Part> part_;
  Tensor gx_PBTD_;  // d(sum of nll) / d(suffix's output)
  Tensor nll_BT_;
};

}  // namespace ingrain::ttt
