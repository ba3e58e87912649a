#include "ttt/steps/chunk_graph.h"

#include "ttt/steps/plain.h"

#include <algorithm>
#include <optional>

namespace ingrain::ttt {
namespace {

ops::KvWindow part_of(const ops::KvWindow& kv, int64_t first, int64_t count) {
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

class GraphSteps : public PlainSteps {
 public:
  GraphSteps(const StepContext& context, int64_t tokens)
      : PlainSteps(context), end_(context.memory.position + tokens) {}

  InnerStep step(const Tensor& h_BbD, const Rope& rope, const Tap& tap) override {
    if (!ChunkGraph::repeats(c_, m_) || !(graph_ || pays())) return PlainSteps::step(h_BbD, rope, tap);
    if (!graph_) graph_.emplace(c_, w_, m_, inner_rates(c_, w_, options_.rate_multiplier));
    const auto& [gradient, norm_B] = graph_->run(h_BbD, rope);
    return {gradient, norm_B, Tensor()};
  }

 private:
  bool pays() const { return end_ - m_.position >= ChunkGraph::kWorthwhile * c_.chunk; }

  const int64_t end_;  // position after the call
  std::optional<ChunkGraph> graph_;
};

}  // namespace

ChunkGraph::ChunkGraph(const ModelConfig& config, const Weights& weights, Memory& memory, const Tensor& eta_S)
    : c_(config), w_(weights), memory_(memory), eta_S_(eta_S), graph_(weights.device()) {
  if (w_.type() != at::kBFloat16) return;
  for (const Mlp& mlp : memory.W_S) rounded_S_.push_back({mlp.w13_FD.to(w_.type()), mlp.w2_DF.to(w_.type())});
}

bool ChunkGraph::repeats(const ModelConfig& c, const Memory& memory) {
  for (int64_t i = c.prefix_len() + 1; i < c.num_layers; ++i) {
    if (memory.layer_L[static_cast<size_t>(i)].recurrent()) return false;  // a state is another tensor after each chunk
    if (memory.position < c.layer(i).window) return false;
  }
  return c.suffix_len > 0 && memory.filled == 0;
}

const ChunkGraph::Result& ChunkGraph::run(const Tensor& h_BbD, const Rope& rope) {
  find_windows();
  const bool first = rope_.ways.empty();
  if (first) rope_ = rope;
  const auto keep = [&](Tensor& place, const Tensor& x) {
    if (first && x.defined()) place = at::empty_like(x);
    if (x.defined()) place.copy_(x);
  };
  for (size_t way = 0; way < rope.ways.size(); ++way) {
    keep(rope_.ways[way].cos_TR, rope.ways[way].cos_TR);
    keep(rope_.ways[way].sin_TR, rope.ways[way].sin_TR);
    keep(rope_.query_factor_T[way], rope.query_factor_T[way]);
  }
  memory_.h_BbD.copy_(h_BbD);
  graph_.run([this] { step(); });
  return result_;
}

/// The caches' buffers, in which a step leaves what they keep where it was. Whoever appended meanwhile may have moved
/// them.
void ChunkGraph::find_windows() {
  std::vector<ops::KvWindow> found_S1;
  bool same = !window_S1_.empty() || c_.suffix_len == 1;
  for (int64_t s = 1; s < c_.suffix_len; ++s) {
    found_S1.push_back(memory_.layer_L[static_cast<size_t>(c_.prefix_len() + s)].kv().with_room(c_.chunk));
    same = same && found_S1.back().k_BWGd.is_same_size(window_S1_[static_cast<size_t>(s - 1)].k_BWGd) &&
           found_S1.back().k_BWGd.const_data_ptr() == window_S1_[static_cast<size_t>(s - 1)].k_BWGd.const_data_ptr();
  }
  if (same) return;
  graph_.forget();
  window_S1_ = found_S1;
}

void ChunkGraph::step() {
  result_ = {};  // before there is another gradient
  ChunkInput in{memory_.h_BbD, {}, {}, rope_};
  in.rounded_S = rounded_S_;
  for (const ops::KvWindow& window : window_S1_) {
    const int64_t kept = window.length() - c_.chunk;
    in.past_S1.push_back(part_of(window, 0, kept));
    in.own_S1.push_back(part_of(window, kept, c_.chunk));
  }
  result_.gradient = chunk_gradient(c_, w_, {memory_.W_S}, in, memory_.target_Bb, memory_.valid_Bb);
  result_.gradient.kv_S1.clear();
  result_.norm_B = inner_step({c_, w_.type()}, w_.fast_S, eta_S_, {memory_.W_S, {}}, result_.gradient.g_S,
                              {memory_.W_S, {}}, rounded_S_);
  for (const ops::KvWindow& window : window_S1_) {
    keep_last(window.k_BWGd, window.length() - c_.chunk);
    keep_last(window.v_BWGd, window.length() - c_.chunk);
  }
}

std::unique_ptr<StepEngine> make_graph_steps(const StepContext& context, int64_t tokens) {
  return std::make_unique<GraphSteps>(context, tokens);
}

}  // namespace ingrain::ttt
