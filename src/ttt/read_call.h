// What one call of reading does with its tokens: the prefix over many at once, the suffix piece by piece of a chunk,
// and the chunk's step at its end.
#pragma once

#include "model/rope.h"
#include "ttt/finite.h"
#include "ttt/steps/step_engine.h"

#include <exception>
#include <memory>
#include <optional>

namespace ingrain::ttt {

/// The caller's functions. What one throws is kept until the memory is whole, and after it none is called.
class Callbacks {
 public:
  explicit Callbacks(const ReadOptions& options) : options_(options) {}

  void on_step(const StepReport& step, const Memory& memory, const std::vector<Mlp>& g_S) {
    if (options_.on_step) guard([&] { options_.on_step(step, memory, g_S); });
  }
  bool keep_going(int64_t done) {
    bool answer = true;
    if (options_.keep_going && done > 0) guard([&] { answer = options_.keep_going(done); });
    return answer && !thrown_;
  }
  const std::exception_ptr& thrown() const { return thrown_; }

 private:
  template <class Call>
  void guard(const Call& call) {
    if (thrown_) return;
    try {
      call();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  const ReadOptions& options_;
  std::exception_ptr thrown_;
};

/// One call: tokens go through the prefix many at once (prefill), then through the suffix piece by piece of a chunk.
class ReadCall {
 public:
  /// All but `steps` outlive it. more_calls: whether what is done ahead of a chunk's end is of use to later ones.
  ReadCall(const StepContext& context, Callbacks& callbacks, FiniteCheck& finite, std::unique_ptr<StepEngine> steps,
           bool more_calls);

  /// next: the token after these [B], if known by now. nll_Bn: scores of targets, [B, n] for positions' next tokens.
  void prefill(const Tensor& tokens_Bn, const std::optional<Tensor>& next_B, const Tensor& nll_Bn);
  /// The newest token's target has become known; a full chunk has waited for it.
  void set_last_target(const Tensor& token_B);
  /// The end of a chunk that was read in parts (or waited for its last target): run once more, for its gradient.
  void learn_stored_chunk();

 private:
  void piece(const Tensor& h_BnD, const Tensor& target_Bn, const Rope& rope, const Tensor& nll_Bn, bool targets_known);
  void score(const Tensor& h_BnD, const Tensor& target_Bn, const Rope& rope, const Tensor& nll_Bn, bool targets_known);
  void finish(const InnerStep& step);
  void forget_chunk();
  void carry_on(const std::vector<SuffixOutput::Kv>& kv_S1, const std::vector<RecurrentState>& state_S1);
  Rope rope_of(int64_t first, int64_t count) const;

  const Network& model_;
  const ModelConfig& c_;
  const Weights& w_;
  Memory& m_;
  const ReadOptions& options_;
  Callbacks& callbacks_;
  FiniteCheck& finite_;
  const std::unique_ptr<StepEngine> steps_;
  const bool more_calls_;
};

}  // namespace ingrain::ttt
