// Recurrences that do something at every C-th token: what those share whose state tells the next token's place among C.
#pragma once

#include "ops/checks.h"
#include "ops/graph/captured.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace ingrain::ops {

/// Token by token. step(t, state): the outputs of token t [B, 1, n], replacing `state` by that after it; all of it
/// becomes part of what is captured, into tensors that stay, unless autograd records it. o: like the outputs of one.
template <class Step>
std::vector<Tensor> by_token(int64_t tokens, bool graph, const Tensor& o_like_B1n, std::vector<Tensor>& state,
                             const Step& step) {
  std::vector<Tensor> out;
  for (int64_t t = 0; t < tokens; ++t) {
    if (graph) {
      out.push_back(step(t, state));
      continue;
    }
    const Tensor o_B1n =
        at::empty_like(o_like_B1n, o_like_B1n.options().requires_grad(false), at::MemoryFormat::Contiguous);
    std::vector<Tensor> after;
    for (const Tensor& x : state) after.push_back(at::empty_like(x, x.options(), at::MemoryFormat::Contiguous));
    captured([=, before = state] {
      std::vector<Tensor> now = before;
      o_B1n.copy_(step(t, now));
      for (size_t i = 0; i < now.size(); ++i) after[i].copy_(now[i]);
    });
    state = std::move(after);
    out.push_back(o_B1n);
  }
  return out;
}

/// The place of every sequence's next token, if it is the same: a look at numbers, which nothing that is captured may
/// take.
inline std::optional<int64_t> common_place(const Tensor& place_B1) {
  const int64_t place = place_B1[0][0].item<int64_t>();
  return (place_B1 == place).all().item<bool>() ? std::optional(place) : std::nullopt;
}

/// Runs of tokens that no C-th token parts: run(first, count, place), the outputs [B, count, n].
template <class Run>
std::vector<Tensor> by_runs(int64_t tokens, int64_t C, int64_t place, const Run& run) {
  std::vector<Tensor> out;
  for (int64_t t = 0; t < tokens;) {
    const int64_t count = std::min(C - place, tokens - t);
    out.push_back(run(t, count, place));
    place = (place + count) % C;
    t += count;
  }
  return out;
}

inline std::vector<Tensor> zero_state(const std::vector<std::vector<int64_t>>& sizes,
                                      const at::TensorOptions& options) {
  std::vector<Tensor> out;
  for (const auto& one : sizes)
    out.push_back(captured([one, options = options.requires_grad(false)] { return at::zeros(one, options); }));
  return out;
}

/// What a state's tensor is at the next chunk's begin.
inline Tensor zeros_as(const Tensor& x) { return at::zeros(x.sizes(), x.options().requires_grad(false)); }

inline bool any_needs_graph(const std::vector<Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const Tensor& x) { return needs_graph(x); });
}

}  // namespace ingrain::ops
