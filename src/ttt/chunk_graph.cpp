#include "ttt/chunk_graph.h"

#include <algorithm>

namespace ingrain::ttt {
namespace {

ops::KvWindow part(const ops::KvWindow& kv, int64_t first, int64_t count) {
  return {kv.k_BWGd.narrow(1, first, count), kv.v_BWGd.narrow(1, first, count)};
}

/// The last n positions to the front, which they may overlap: piece by piece, none longer than the way it goes, so that
/// each is moved once; through a copy of all where that were too many pieces.
void keep_last(const Tensor& x_BWGd, int64_t n) {
  constexpr int64_t kMostPieces = 16;
  const int64_t way = x_BWGd.size(1) - n;
  if (n > kMostPieces * way) {
    x_BWGd.narrow(1, 0, n).copy_(x_BWGd.narrow(1, way, n).clone());
    return;
  }
  for (int64_t first = 0; first < n; first += way) {
    const int64_t count = std::min(way, n - first);
    x_BWGd.narrow(1, first, count).copy_(x_BWGd.narrow(1, first + way, count));
  }
}

}  // namespace

ChunkStep::ChunkStep(const ModelConfig& config, const Weights& weights, Memory& memory, const Tensor& eta_S)
    : c_(config), w_(weights), memory_(memory), eta_S_(eta_S), graph_(weights.device()) {
  if (w_.type() != at::kBFloat16) return;
  for (const Mlp& mlp : memory.W_S) rounded_S_.push_back({mlp.w13_FD.to(w_.type()), mlp.w2_DF.to(w_.type())});
}

bool ChunkStep::repeats(const ModelConfig& c, const Memory& memory) {
  return c.suffix_len > 0 && memory.filled == 0 && (c.suffix_len == 1 || memory.position >= c.window);
}

const ChunkStep::Result& ChunkStep::run(const Tensor& h_BbD, const ops::RopeTable& rope) {
  find_windows();
  if (!rope_.cos_TR.defined()) rope_ = {at::empty_like(rope.cos_TR), at::empty_like(rope.sin_TR), rope.interleaved};
  rope_.cos_TR.copy_(rope.cos_TR);
  rope_.sin_TR.copy_(rope.sin_TR);
  memory_.h_BbD.copy_(h_BbD);
  graph_.run([this] { step(); });
  return result_;
}

/// The caches' buffers, in which a step leaves what they keep where it was. Whoever appended meanwhile may have moved
/// them.
void ChunkStep::find_windows() {
  std::vector<ops::KvWindow> found_S1;
  bool same = !window_S1_.empty() || c_.suffix_len == 1;
  for (int64_t s = 1; s < c_.suffix_len; ++s) {
    found_S1.push_back(memory_.kv_L[static_cast<size_t>(c_.prefix_len() + s)].with_room(c_.chunk));
    same = same && found_S1.back().k_BWGd.is_same_size(window_S1_[static_cast<size_t>(s - 1)].k_BWGd) &&
           found_S1.back().k_BWGd.const_data_ptr() == window_S1_[static_cast<size_t>(s - 1)].k_BWGd.const_data_ptr();
  }
  if (same) return;
  graph_.forget();
  window_S1_ = found_S1;
}

void ChunkStep::step() {
  const int64_t kept = c_.window - 1;
  result_ = {};  // before there is another gradient
  ChunkInput in{memory_.h_BbD, {}, rope_};
  in.rounded_S = rounded_S_;
  for (const ops::KvWindow& window : window_S1_) {
    in.past_S1.push_back(part(window, 0, kept));
    in.own_S1.push_back(part(window, kept, c_.chunk));
  }
  result_.gradient = chunk_gradient(c_, w_, memory_.W_S, in, memory_.target_Bb, memory_.valid_Bb);
  result_.gradient.kv_S1.clear();
  result_.norm_B = inner_step(memory_.W_S, result_.gradient.g_S, eta_S_, c_.inner_clip, memory_.W_S, rounded_S_);
  for (const ops::KvWindow& window : window_S1_) {
    keep_last(window.k_BWGd, kept);
    keep_last(window.v_BWGd, kept);
  }
}

}  // namespace ingrain::ttt
