#include "ttt/memory.h"

#include "base/error.h"
#include "ops/linear/products.h"
#include "ttt/inner_optimizer.h"
#include "ttt/page_place.h"

#include <algorithm>

namespace ingrain::ttt {

Memory Memory::fork() const {
  Memory out = *this;
  for (std::vector<Mlp>* mlps : fast_weights(out))
    for (Mlp& mlp : *mlps)  // the CPU's steps do not write to what is used elsewhere; a GPU's graphs do
      if (!mlp.w13_FD.is_cpu()) mlp = {mlp.w13_FD.clone(), mlp.w2_DF.clone()};
  for (LayerState& layer : out.layer_L) layer = layer.fork();
  for (Tensor* x : of_chunk(out))
    if (x->defined()) *x = x->clone();
  if (h_BbD.defined() && h_BbD.size(1) < target_Bb.size(1)) {  // of a shrunk one
    out.h_BbD = at::zeros({h_BbD.size(0), target_Bb.size(1), h_BbD.size(2)}, h_BbD.options());
    out.h_BbD.narrow(1, 0, h_BbD.size(1)).copy_(h_BbD);
  }
  return out;
}

Memory Memory::shrunk() const {
  const bool on_cpu = !W_S.empty() ? W_S[0].w13_FD.is_cpu() : !x_BD.defined() || x_BD.is_cpu();
  if (!on_cpu) return fork();
  uint64_t bytes = 0;
  map([&](const Tensor& x) {
    bytes += aligned(x.nbytes());
    return x;
  });
  PagePlace place(bytes);
  return map([&](const Tensor& x) { return place.copy(x); });
}

Memory Memory::map(const std::function<Tensor(const Tensor& x)>& of) const {
  Memory out = *this;
  for (std::vector<Mlp>* mlps : fast_weights(out))
    for (Mlp& mlp : *mlps) mlp = {of(mlp.w13_FD), of(mlp.w2_DF)};
  for (LayerState& layer : out.layer_L) layer = layer.map(of);
  if (h_BbD.defined()) out.h_BbD = of(h_BbD.narrow(1, 0, filled));
  for (Tensor* x : {&out.target_Bb, &out.valid_Bb, &out.x_BD})
    if (x->defined()) *x = of(*x);
  return out;
}

ChunkWeights weights_of(const ModelConfig& c, const Memory& memory, int64_t first, int64_t count) {
  const int64_t early = std::clamp<int64_t>(c.inner.step_delay - first, 0, count);
  if (memory.early_S.empty() || early == 0) return {memory.W_S};
  return {memory.W_S, memory.early_S, early};
}

Memory empty_memory(const Network& model, int64_t batch) {
  std::vector<Mlp> W_S;
  for (const Mlp& mlp : model.weights.fast_S)
    W_S.push_back({mlp.w13_FD.detach().unsqueeze(0).repeat({batch, 1, 1}),
                   mlp.w2_DF.detach().unsqueeze(0).repeat({batch, 1, 1})});
  return unread_memory(model, std::move(W_S), batch);
}

Memory unread_memory(const Network& model, std::vector<Mlp> W_S, int64_t batch) {
  const ModelConfig& c = model.config;
  Memory m;
  m.W_S = std::move(W_S);
  m.M_S = resting_momentum(c, m.W_S);
  for (int64_t i = 0; i < c.num_layers; ++i) m.layer_L.emplace_back(c, i);
  if (c.suffix_len > 0) {
    const auto options = model.weights.embedding_VD.options();
    m.h_BbD = at::zeros({batch, c.chunk, c.hidden_size}, options);
    m.target_Bb = at::zeros({batch, c.chunk}, options.dtype(at::kLong));
    m.valid_Bb = at::zeros({batch, c.chunk}, options.dtype(at::kBool));
  }
  return m;
}

void Memory::visit(const std::function<void(const std::string& name, const Tensor& x)>& visit) const {
  for (const auto& [what, mlps] : {std::pair("fast", &W_S), {"early", &early_S}, {"momentum", &M_S}})
    for (size_t s = 0; s < mlps->size(); ++s) {
      visit(fmt::format("{}.{}.w13", what, s), (*mlps)[s].w13_FD);
      visit(fmt::format("{}.{}.w2", what, s), (*mlps)[s].w2_DF);
    }
  for (size_t l = 0; l < layer_L.size(); ++l)
    layer_L[l].visit([&](const std::string& name, const Tensor& x) { visit(fmt::format("layer.{}.{}", l, name), x); });
  if (filled > 0) {
    visit("chunk.h", h_BbD.narrow(1, 0, filled));
    visit("chunk.target", target_Bb.narrow(1, 0, filled));
    visit("chunk.valid", valid_Bb.narrow(1, 0, filled));
  }
  if (x_BD.defined()) visit("last", x_BD);
}

ChunkInput suffix_input(const ModelConfig& c, const Memory& memory, bool whole, const Tensor& h_BTD, const Rope& rope) {
  ChunkInput in{h_BTD, {}, {}, rope};
  for (int64_t i = c.prefix_len() + 1; i < c.num_layers; ++i) {
    const LayerState& layer = memory.layer_L[static_cast<size_t>(i)];
    if (layer.recurrent()) {
      in.past_S1.emplace_back();
      in.state_S1.push_back(whole ? layer.before_chunk() : layer.now());
    } else {
      in.past_S1.push_back(layer.kv().before(whole ? memory.filled : 0, c.layer(i).window - 1));
      in.state_S1.emplace_back();
    }
  }
  return in;
}

void set_targets(const ModelConfig& c, Memory& memory, int64_t first, const Tensor& target_Bn, bool count_these) {
  const int64_t n = target_Bn.size(1);
  const Tensor known = target_Bn.ne(kUnknownTarget).logical_and_(target_Bn.ne(c.bos_id));
  memory.target_Bb.narrow(1, first, n).copy_(target_Bn);
  memory.valid_Bb.narrow(1, first, n).copy_(count_these ? known : at::zeros_like(known));
}

void require_something_read(const Memory& memory) {
  require(memory.x_BD.defined(), "nothing was read yet, so there is nothing to predict from; read at least one token");
}

Tensor next_logits(const Network& model, const Memory& memory) {
  require_something_read(memory);
  const at::NoGradGuard no_grad;
  return ops::product_nt(memory.x_BD, model.weights.head()).to(master_type(model.weights.type()));
}

}  // namespace ingrain::ttt
