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

/// How long the runs of tokens are that no C-th token parts.
inline std::vector<int64_t> run_lengths(int64_t tokens, int64_t C, int64_t place) {
  std::vector<int64_t> out;
  for (int64_t t = 0; t < tokens; t += out.back()) out.push_back(std::min(t == 0 ? C - place : C, tokens - t));
  return out;
}

/// x [B, tokens, ...] in these runs. By one split, whose gradient is one tensor: those of as many narrow() would be of
/// all tokens each, and sum to the square of a text's length.
inline std::vector<Tensor> in_runs(const Tensor& x_BTn, const std::vector<int64_t>& lengths) {
  return x_BTn.split_with_sizes(lengths, 1);
}

/// Run by run: run(i, count, place), the outputs [B, count, n] of run i.
template <class Run>
std::vector<Tensor> by_runs(const std::vector<int64_t>& lengths, int64_t C, int64_t place, const Run& run) {
  std::vector<Tensor> out;
  for (size_t i = 0; i < lengths.size(); ++i) {
    out.push_back(run(i, lengths[i], place));
    place = (place + lengths[i]) % C;
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
