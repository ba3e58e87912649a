#include "ttt/layer_state.h"

#include <algorithm>

namespace ingrain::ttt {
namespace {

constexpr const char* kBeforeChunk = "before_chunk.";

bool same_tensors(const RecurrentState& a, const RecurrentState& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return x.is_same(y); });
}

}  // namespace

LayerState::LayerState(const ModelConfig& config, int64_t layer) : layer_(layer) {
  const LayerMixer& mixer = mixer_of(config, layer);
  if (!mixer.recurrent()) return;
  parts_ = mixer.state(config, layer);
  state_ = Recurrent{};
}

void LayerState::end_chunk(const ModelConfig& config) {
  if (recurrent())
    std::get<Recurrent>(state_).before_chunk = now();
  else
    kv().keep_last(config.layer(layer_).window - 1);
}

void LayerState::visit(const std::function<void(const std::string& name, const Tensor& x)>& visit) const {
  if (!recurrent()) {
    if (kv().length() == 0) return;
    const ops::KvWindow window = kv().last(kv().length());
    visit("k", window.k_BWGd);
    visit("v", window.v_BWGd);
    return;
  }
  for (size_t i = 0; i < now().size(); ++i) visit(parts_[i].name, now()[i]);
  if (same_tensors(now(), before_chunk())) return;  // nothing of a chunk was read
  for (size_t i = 0; i < before_chunk().size(); ++i) visit(kBeforeChunk + parts_[i].name, before_chunk()[i]);
}

uint64_t LayerState::bytes() const {
  if (!recurrent()) return kv().bytes();
  uint64_t out = 0;
  for (const Tensor& x : now()) out += x.storage().nbytes();
  if (!same_tensors(now(), before_chunk()))
    for (const Tensor& x : before_chunk()) out += x.storage().nbytes();
  return out;
}

void LayerState::load(const ModelConfig& c, const ReadCounts& read, at::ScalarType compute, const Take& take) {
  // Blocks whose mixers do not depend on fast weights keep what later tokens need; the others also what the unfinished
  // chunk's step does.
  const int64_t own = depends_on_fast_weights(c) ? read.filled : 0;
  if (!recurrent()) {
    const int64_t n = std::min(read.position - own, c.layer(layer_).window - 1) + own;
    if (n == 0) return;
    const std::vector<int64_t> shape{read.batch, n, c.num_kv_heads, c.head_dim};
    Tensor k = take("k", shape, compute);
    state_ = KvCache(std::move(k), take("v", shape, compute));
    return;
  }
  const auto take_state = [&](const std::string& prefix) {
    RecurrentState out;
    for (const StatePart& part : parts_) {
      std::vector<int64_t> shape{read.batch};
      shape.insert(shape.end(), part.shape.begin(), part.shape.end());
      out.push_back(take(prefix + part.name, shape, part.wide ? master_type(compute) : compute));
    }
    return out;
  };
  auto& [now, before_chunk] = std::get<Recurrent>(state_);
  if (read.position > 0) now = take_state("");
  if (!depends_on_fast_weights(c)) return;
  if (own == 0) before_chunk = now;
  if (own > 0 && read.position > own) before_chunk = take_state(kBeforeChunk);
}

LayerState LayerState::fork() const {
  if (recurrent()) return map([](const Tensor& x) { return x.clone(); });
  LayerState out = *this;
  out.state_ = kv().clone();
  return out;
}

LayerState LayerState::map(const std::function<Tensor(const Tensor& x)>& of) const {
  LayerState out = *this;
  if (!recurrent()) {
    out.state_ = kv().map(of);
    return out;
  }
  const auto map_all = [&](const RecurrentState& state) {
    RecurrentState copy;
    for (const Tensor& x : state) copy.push_back(of(x));
    return copy;
  };
  auto& [now, before_chunk] = std::get<Recurrent>(out.state_);
  const bool same = same_tensors(now, before_chunk);
  now = map_all(now);
  before_chunk = same ? now : map_all(before_chunk);
  return out;
}

}  // namespace ingrain::ttt
