#include "serve/engine/shared_weights.h"

#include "ttt/memory_file.h"

#include <algorithm>
#include <utility>

namespace ingrain::serve {

bool has_weights(const ttt::Memory& memory, std::span<const Mlp> W_S) {
  return std::equal(memory.W_S.begin(), memory.W_S.end(), W_S.begin(), W_S.end(),
                    [](const Mlp& a, const Mlp& b) { return a.w13_FD.is_same(b.w13_FD) && a.w2_DF.is_same(b.w2_DF); });
}

ttt::Memory shrunk(const ttt::Memory& memory, std::span<const Mlp> shared) {
  if (memory.W_S.empty() || !memory.W_S[0].w13_FD.is_cpu()) return memory.shrunk();
  ttt::Memory rest = memory, weights;
  weights.W_S = std::exchange(rest.W_S, {});
  if (!has_weights(memory, shared)) weights = weights.shrunk();
  ttt::Memory out = rest.shrunk();
  out.W_S = std::move(weights.W_S);
  return out;
}

uint64_t weight_bytes(std::span<const Mlp> W_S) {
  uint64_t out = 0;
  for (const Mlp& mlp : W_S) out += mlp.w13_FD.nbytes() + mlp.w2_DF.nbytes();
  return out;
}

void BytesInRam::add(const ttt::Memory& memory) {
  bytes_ += ttt::memory_bytes(memory);
  if (!memory.W_S.empty() && ++sharing_[memory.W_S[0].w13_FD.const_data_ptr()] > 1) bytes_ -= weight_bytes(memory.W_S);
}

void BytesInRam::remove(const ttt::Memory& memory) {
  bytes_ -= ttt::memory_bytes(memory);
  if (memory.W_S.empty()) return;
  const auto sharing = sharing_.find(memory.W_S[0].w13_FD.const_data_ptr());
  if (--sharing->second > 0)
    bytes_ += weight_bytes(memory.W_S);
  else
    sharing_.erase(sharing);
}

}  // namespace ingrain::serve
