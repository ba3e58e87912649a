// A mixer: the part of a layer in which tokens meet those before them. Each kind (mixers/kinds.h) has a folder here.
#pragma once

#include "model/parameters.h"
#include "model/rope.h"
#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain {

/// How queries meet their keys and values (rotated, [P, B, T, ...]) and those before: returns [P, B, T, H, d].
using Attend = std::function<Tensor(int64_t layer, const ops::Heads& now)>;

/// What a recurrent mixer carries from token to token, in the order of its LayerMixer::state: constant in an inner
/// step, as keys and values are. Empty: nothing was read, which is zeros. Never changed in place, but replaced.
using RecurrentState = std::vector<Tensor>;

/// How a recurrent mixer's tokens meet those before: gives `run` the state before them, and keeps what `run` makes of
/// it, the state after them. Returns run's result.
using Recur = std::function<Tensor(int64_t layer, const std::function<Tensor(RecurrentState& state)>& run)>;

/// Where a pass finds what the tokens before it have left to its layers, and leaves what later ones need.
struct Carry {
  Attend attend;
  Recur recur = {};  // only where there are recurrent mixers
};

/// What a mixer computes with, besides its input.
struct MixerPass {
  const ModelConfig& config;
  const BlockWeights& w;
  const Rope& rope;  // of the pass' T positions
  const Carry& carry;
  int64_t layer;
};

/// A tensor of a recurrent state: its name in a memory file, its shape but for the leading B.
struct StatePart {
  std::string name;
  std::vector<int64_t> shape;
  bool wide;  // fp32 (fp64) rather than the compute type
};

/// A kind of mixer.
struct LayerMixer {
  /// x: [P, B, T, D], normed. Returns what is added to the residual stream (after its post-norm), like x.
  Tensor (*mix)(const MixerPass& pass, const Tensor& x_PBTD);
  /// Of a recurrent mixer; nullptr: it carries keys and values, through Carry::attend.
  std::vector<StatePart> (*state)(const ModelConfig& config, int64_t layer);
  /// Rows of the table of parameters; they exist in layers of this kind only.
  std::span<const Parameter> (*parameters)();
  /// Of a recurrent mixer: multiply-adds of a token with its state (docs/benchmarks.md).
  double (*state_work)(const ModelConfig& config) = nullptr;

  bool recurrent() const { return state != nullptr; }
};

/// Of every kind, in the order of mixers/kinds.h.
std::span<const LayerMixer* const> all_mixers();
const LayerMixer& mixer_of(MixerKind kind);
/// That of a layer.
const LayerMixer& mixer_of(const ModelConfig& config, int64_t layer);

}  // namespace ingrain
