// What a layer carries from the tokens that were read to those that follow: attention its window of keys and values, a
// recurrent mixer its state. It knows its own tensors: memory files, sizes and comparisons follow from visit().
#pragma once

#include "model/mixers/mixer.h"
#include "ttt/kv_cache.h"

#include <variant>

namespace ingrain::ttt {

/// How much a memory has read, as far as it decides which tensors a layer's state has.
struct ReadCounts {
  int64_t batch, position, filled;
};

/// Copies share tensors; fork() shares nothing.
class LayerState {
 public:
  /// Of a layer that has read nothing.
  LayerState(const ModelConfig& config, int64_t layer);

  bool recurrent() const { return std::holds_alternative<Recurrent>(state_); }
  /// REQUIRES: !recurrent().
  KvCache& kv() { return std::get<KvCache>(state_); }
  const KvCache& kv() const { return std::get<KvCache>(state_); }

  /// The state after the newest token; REQUIRES of these three: recurrent().
  const RecurrentState& now() const { return std::get<Recurrent>(state_).now; }
  void set_now(RecurrentState state) { std::get<Recurrent>(state_).now = std::move(state); }
  /// That before the unfinished chunk's first one, from which its inner step starts. REQUIRES: a suffix block after the
  /// first.
  const RecurrentState& before_chunk() const { return std::get<Recurrent>(state_).before_chunk; }

  /// The unfinished chunk is over: forgets what only its inner step needed.
  void end_chunk(const ModelConfig& config);

  /// Its tensors, [B, ...], by the names that they have in a memory file: "k", "v"; a recurrent one's are its mixer's.
  void visit(const std::function<void(const std::string& name, const Tensor& x)>& visit) const;
  /// Of its tensors, with the room for more.
  uint64_t bytes() const;
  /// Gives a tensor by name, of the shape and type that belong there (or throws).
  using Take = std::function<Tensor(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType type)>;
  /// Takes the tensors that visit() gave when as much was read. REQUIRES: nothing was read. compute: the type of
  /// activations.
  void load(const ModelConfig& config, const ReadCounts& read, at::ScalarType compute, const Take& take);

  LayerState fork() const;
  /// A copy with of(x) in place of each of its tensors.
  LayerState map(const std::function<Tensor(const Tensor& x)>& of) const;

 private:
  struct Recurrent {
    RecurrentState now, before_chunk;
  };
  bool depends_on_fast_weights(const ModelConfig& config) const { return layer_ > config.prefix_len(); }

  int64_t layer_;
  std::vector<StatePart> parts_;  // of a recurrent one
  std::variant<KvCache, Recurrent> state_;
};

}  // namespace ingrain::ttt
