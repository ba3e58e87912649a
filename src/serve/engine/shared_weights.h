// Fast weights that states share: conversations which have not learned yet have those of the model, and a state and
// what went on from it without an inner step have the same.
#pragma once

#include "ttt/memory.h"

#include <span>
#include <unordered_map>

namespace ingrain::serve {

/// As memory.shrunk(), but on a CPU fast weights that are still `shared`'s very tensors are shared with it. They have
/// pages of their own: others may keep them for longer than this memory is kept.
ttt::Memory shrunk(const ttt::Memory& memory, std::span<const Mlp> shared = {});

/// Whether a memory's fast weights are these very tensors.
bool has_weights(const ttt::Memory& memory, std::span<const Mlp> W_S);

uint64_t weight_bytes(std::span<const Mlp> W_S);

/// Bytes of memories in RAM, of which several may share their fast weights: those count once. Not thread-safe.
class BytesInRam {
 public:
  void add(const ttt::Memory& memory);
  void remove(const ttt::Memory& memory);
  uint64_t bytes() const { return bytes_; }

 private:
  std::unordered_map<const void*, int64_t> sharing_;  // fast weights by their address
  uint64_t bytes_ = 0;
};

}  // namespace ingrain::serve
