// What a model has become by reading: the value that later tokens depend on, for B sequences in step. Reading itself,
// the inner loop, is ttt/read.h.
#pragma once

#include "model/network.h"
#include "ttt/layer_state.h"
#include "ttt/suffix.h"

#include <array>

namespace ingrain::ttt {

/// Everything that later tokens depend on. Copying it shares the tensors, which reading changes in place; what becomes
/// of a fork() and of what it was forked from is independent (on a CPU they share fast weights until a step of either).
struct Memory {
  int64_t position = 0;  // tokens read
  std::vector<Mlp> W_S;  // fast weights, [B, ...], fp32 (fp64)
  // W before the newest step, which the unfinished chunk's first inner_step_delay tokens are read with, and W_S the
  // others. Empty where that is W_S, too: no step is delayed, or the chunk before made none.
  std::vector<Mlp> early_S = {};
  std::vector<Mlp> M_S;             // the inner optimizer's momentum, like W_S; empty where its rule has none
  std::vector<LayerState> layer_L;  // what each layer carries; suffix blocks 1.. also for the unfinished chunk's step
  // The unfinished chunk (possibly full: then its step is pending until the next token is known).
  int64_t filled = 0;          // tokens of it read
  Tensor h_BbD;                // their prefix outputs, [B, b, D], the first `filled` set
  Tensor target_Bb, valid_Bb;  // their targets (each known once the next token is), int64 and bool
  Tensor x_BD;                 // after the final norm, at the last position: what the next token is predicted from
  int64_t steps = 0;           // inner steps made, `inner_steps` a chunk

  int64_t batch() const { return W_S.empty() ? (x_BD.defined() ? x_BD.size(0) : 1) : W_S[0].w13_FD.size(0); }
  int64_t chunk_begin() const { return position - filled; }  // position of the unfinished chunk's first token
  /// For who goes through all of a memory: these, these, and each layer's own. Pointers to its members.
  static auto fast_weights(auto& memory) { return std::array{&memory.W_S, &memory.early_S, &memory.M_S}; }
  static auto of_chunk(auto& memory) {
    return std::array{&memory.h_BbD, &memory.target_Bb, &memory.valid_Bb, &memory.x_BD};
  }
  Memory fork() const;
  /// A copy that shares nothing, to be kept and not read on with: no room for more, and on a CPU in pages of its own,
  /// which go back to the kernel with it. fork() of it is as fork() of this one.
  Memory shrunk() const;
  /// Its tensors, each [B, ...], by the names that they have in a memory file; the unfinished chunk's are cut to the
  /// tokens that are there.
  void visit(const std::function<void(const std::string& name, const Tensor& x)>& visit) const;

 private:
  /// A copy that has of(x) in place of each tensor, of which it is given what is there.
  Memory map(const std::function<Tensor(const Tensor& x)>& of) const;
};

/// The fast weights that tokens `first`, ... `first + count - 1` of the unfinished chunk are read with.
ChunkWeights weights_of(const ModelConfig& config, const Memory& memory, int64_t first, int64_t count);

/// A memory that has read nothing, for the B sequences of these fast weights (or, where a model has none, for `batch`).
Memory unread_memory(const Network& model, std::vector<Mlp> W_S, int64_t batch);

/// The same with the fast weights that learning starts from.
Memory empty_memory(const Network& model, int64_t batch = 1);

/// What a pass over tokens of the unfinished chunk starts from: those that follow the memory's newest one, or (whole)
/// all of the chunk. h, rope: as in ChunkInput. Its tensors are views, valid until more is read.
ChunkInput suffix_input(const ModelConfig& config, const Memory& memory, bool whole, const Tensor& h_BTD,
                        const Rope& rope);

/// What stands as target where the next token is not known yet.
inline constexpr int64_t kUnknownTarget = -1;

/// Enters the targets [B, n] of the unfinished chunk's tokens `first`, ... `count_these`: whether they count in the
/// chunk's loss (an unknown one or a bos never does).
void set_targets(const ModelConfig& config, Memory& memory, int64_t first, const Tensor& target_Bn, bool count_these);

/// Error if nothing was read: then there is nothing to predict from.
void require_something_read(const Memory& memory);

/// Logits [B, V] for the next token, fp32 (fp64). Error if nothing was read.
Tensor next_logits(const Network& model, const Memory& memory);

}  // namespace ingrain::ttt
