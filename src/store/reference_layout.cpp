#include "store/reference_layout.h"

#include "base/error.h"

namespace ingrain {
namespace {

const std::string kBlocks = "language_model.model.h.blocks.";
const std::string kPrime = "language_model.model.h.prime_storage.";

/// One stacked tensor of the reference: which rows of which of our parameters it holds.
struct Rule {
  std::string theirs;
  std::function<Tensor(const Weights&, int64_t layer)> part;  // a view of our tensor, [out, in] or [D]
  bool suffix_only;
};

std::vector<Rule> rules(const ModelConfig& c) {
  const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim, F = c.mlp_size, Ff = c.fast_mlp_size;
  const auto block = [](Tensor BlockWeights::* member) {
    return [member](const Weights& w, int64_t i) { return w.blocks[static_cast<size_t>(i)].*member; };
  };
  const auto rows = [](auto tensor, int64_t first, int64_t n) {
    return [tensor, first, n](const Weights& w, int64_t i) { return tensor(w, i).narrow(0, first, n); };
  };
  const auto w13 = [](const Weights& w, int64_t i) { return w.blocks[static_cast<size_t>(i)].mlp.w13_FD; };
  const auto w2 = [](const Weights& w, int64_t i) { return w.blocks[static_cast<size_t>(i)].mlp.w2_DF; };
  const int64_t prefix = c.prefix_len();
  const auto fast13 = [prefix](const Weights& w, int64_t i) {
    return w.fast_S[static_cast<size_t>(i - prefix)].w13_FD;
  };
  const auto fast2 = [prefix](const Weights& w, int64_t i) { return w.fast_S[static_cast<size_t>(i - prefix)].w2_DF; };
  const auto qkv = block(&BlockWeights::wqkv_CD);
  std::vector<Rule> out{{kBlocks + "seq_norm.weight", block(&BlockWeights::attn_norm_D), false},
                        {kBlocks + "seq_modeling_block.wq.weight", rows(qkv, 0, q), false},
                        {kBlocks + "seq_modeling_block.wk.weight", rows(qkv, q, kv), false},
                        {kBlocks + "seq_modeling_block.wv.weight", rows(qkv, q + kv, kv), false},
                        {kBlocks + "seq_modeling_block.wo.weight", block(&BlockWeights::wo_DC), false},
                        {kBlocks + "ffn_norm.weight", block(&BlockWeights::mlp_norm_D), false},
                        {kBlocks + "feed_forward.w1.weight", rows(w13, 0, F), false},
                        {kBlocks + "feed_forward.w3.weight", rows(w13, F, F), false},
                        {kBlocks + "feed_forward.w2.weight", w2, false}};
  if (c.qk_norm) {
    out.push_back({kBlocks + "seq_modeling_block.q_norm.weight", block(&BlockWeights::q_norm_d), false});
    out.push_back({kBlocks + "seq_modeling_block.k_norm.weight", block(&BlockWeights::k_norm_d), false});
  }
  if (c.post_norm) {
    out.push_back({kBlocks + "seq_post_norm.weight", block(&BlockWeights::attn_post_norm_D), false});
    out.push_back({kBlocks + "ffn_post_norm.weight", block(&BlockWeights::mlp_post_norm_D), false});
  }
  if (c.suffix_len > 0) {
    out.push_back({kPrime + "ffn_prime_norm.weight", block(&BlockWeights::fast_norm_D), true});
    out.push_back({kPrime + "feed_forward_prime.w1.weight", rows(fast13, 0, Ff), true});
    out.push_back({kPrime + "feed_forward_prime.w3.weight", rows(fast13, Ff, Ff), true});
    out.push_back({kPrime + "feed_forward_prime.w2.weight", fast2, true});
    if (c.fast_post_norm)
      out.push_back({kPrime + "ffn_prime_post_norm.weight", block(&BlockWeights::fast_post_norm_D), true});
  }
  return out;
}

/// A matrix turns from [out, in] to [in, out]; a vector stays.
Tensor turned(const Tensor& x) { return x.dim() >= 2 ? x.transpose(-1, -2) : x; }

void check_shape(const Tensor& theirs, const Tensor& ours, const std::string& name) {
  require(theirs.sizes() == ours.sizes(), "tensor '{}' has shape [{}] where the config asks for [{}]", name,
          fmt::join(theirs.sizes(), ", "), fmt::join(ours.sizes(), ", "));
}

void check_supported(const ModelConfig& c) {
  require(!c.qkv_bias && !c.learned_inner_rates,
          "the reference's format has no place for attention biases or learned inner rates");
}

}  // namespace

NamedTensors to_reference(const ModelConfig& c, const Weights& w) {
  check_supported(c);
  NamedTensors out;
  out["language_model.model.wte.weight"] = w.embedding_VD;
  out["language_model.model.ln_f.weight"] = w.final_norm_D;
  if (w.head_VD.defined()) out["language_model.lm_head.weight"] = turned(w.head_VD).contiguous();
  for (const Rule& rule : rules(c)) {
    std::vector<Tensor> layers;
    for (int64_t i = rule.suffix_only ? c.prefix_len() : 0; i < c.num_layers; ++i)
      layers.push_back(turned(rule.part(w, i)));
    out[rule.theirs] = at::stack(layers).contiguous();
  }
  return out;
}

Weights from_reference(const ModelConfig& c, const std::function<Tensor(const std::string&)>& get) {
  check_supported(c);
  Weights w = make_weights(c, at::kFloat);
  const auto copy = [](const Tensor& ours, const Tensor& theirs, const std::string& name) {
    check_shape(theirs, ours, name);
    ours.copy_(theirs);
  };
  copy(w.embedding_VD, get("language_model.model.wte.weight"), "language_model.model.wte.weight");
  copy(w.final_norm_D, get("language_model.model.ln_f.weight"), "language_model.model.ln_f.weight");
  if (!c.tie_embeddings) copy(w.head_VD, turned(get("language_model.lm_head.weight")), "language_model.lm_head.weight");
  for (const Rule& rule : rules(c)) {
    const int64_t first = rule.suffix_only ? c.prefix_len() : 0;
    const Tensor stacked = get(rule.theirs);
    require(stacked.dim() >= 1 && stacked.size(0) == c.num_layers - first, "tensor '{}' must be stacked over {} layers",
            rule.theirs, c.num_layers - first);
    for (int64_t i = first; i < c.num_layers; ++i) copy(rule.part(w, i), turned(stacked[i - first]), rule.theirs);
  }
  return w;
}

std::string reference_fast_name(const std::string& matrix) {
  return "language_model.model.h.suffix_blocks.feed_forward_prime." + matrix + ".weight";
}

NamedTensors fast_to_reference(const std::vector<Mlp>& fast_S) {
  std::vector<Tensor> w1, w2, w3;
  for (const Mlp& mlp : fast_S) {
    const auto halves = mlp.w13_FD.chunk(2, -2);
    w1.push_back(turned(halves[0]));
    w3.push_back(turned(halves[1]));
    w2.push_back(turned(mlp.w2_DF));
  }
  return {{"w1", at::stack(w1, -3)}, {"w2", at::stack(w2, -3)}, {"w3", at::stack(w3, -3)}};
}

}  // namespace ingrain
