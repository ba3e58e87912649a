#include "model/parameters.h"

#include "model/mixers/mixer.h"

#include <fmt/format.h>

#include <algorithm>

namespace ingrain {
namespace {

template <Tensor Weights::* member>
Tensor& whole(Weights& w, int64_t) {
  return w.*member;
}
template <Tensor BlockWeights::* member>
Tensor& block(Weights& w, int64_t layer) {
  return w.blocks[static_cast<size_t>(layer)].*member;
}
template <Tensor Mlp::* member>
Tensor& mlp(Weights& w, int64_t layer) {
  return w.blocks[static_cast<size_t>(layer)].mlp.*member;
}
template <Tensor Mlp::* member>
Tensor& fast(Weights& w, int64_t layer) {
  return w.fast_S[static_cast<size_t>(layer) - (w.blocks.size() - w.fast_S.size())].*member;
}

using C = const ModelConfig&;
int64_t V(C c) { return c.vocab_size; }
int64_t D(C c) { return c.hidden_size; }
int64_t F(C c) { return c.mlp_size; }
int64_t F_fast(C c) { return c.fast_mlp_size; }
int64_t S(C c) { return c.suffix_len; }
constexpr Size kVector = nullptr;

bool always(C, int64_t) { return true; }
bool untied(C c, int64_t) { return !c.tie_embeddings; }
bool pre_norm(C c, int64_t layer) { return c.layer(layer).pre_norm; }
bool post_norm(C c, int64_t layer) { return c.layer(layer).post_norm; }
bool has_mlp(C c, int64_t layer) { return c.layer(layer).mlp; }
bool mlp_pre_norm(C c, int64_t layer) { return has_mlp(c, layer) && pre_norm(c, layer); }
bool mlp_post_norm(C c, int64_t layer) { return has_mlp(c, layer) && post_norm(c, layer); }
bool suffix(C c, int64_t layer) { return layer >= c.prefix_len(); }
bool fast_post_norm(C c, int64_t layer) { return suffix(c, layer) && c.fast_post_norm; }
bool learned_rates(C c, int64_t) { return c.learned_inner_rates && c.suffix_len > 0; }

using W = Weights;
using B = BlockWeights;
using Kind = ParameterKind;
constexpr bool kQuantizable = true, kAsItIs = false;

/// Before the rows of mixers.
constexpr Parameter kBeforeMixer[] = {
    {"embedding",
     whole<&W::embedding_VD>,
     Kind::embedding,
     Step::embedding,
     kAsItIs,
     always,
     D,
     {{{"model.embed_tokens.weight", "token_embd.weight", "model.wte.weight", V}}}},

    {"attn_norm",
     block<&B::attn_norm_D>,
     Kind::norm,
     Step::mixer,
     kAsItIs,
     pre_norm,
     kVector,
     {{{"input_layernorm.weight", "attn_norm.weight", "seq_norm.weight", D}}}},
};

/// After the mixer.
constexpr Parameter kAfterMixer[] = {
    {"attn_post_norm",
     block<&B::attn_post_norm_D>,
     Kind::norm,
     Step::mixer,
     kAsItIs,
     post_norm,
     kVector,
     {{{"self_attn_post_norm.weight", "post_attention_norm.weight", "seq_post_norm.weight", D}}}},

    {"fast_norm",
     block<&B::fast_norm_D>,
     Kind::norm,
     Step::fast,
     kAsItIs,
     suffix,
     kVector,
     {{{"fast_mlp_norm.weight", "", "ffn_prime_norm.weight", D}}}},
    {"fast.w13",
     fast<&Mlp::w13_FD>,
     Kind::fast,
     Step::fast,
     kAsItIs,
     suffix,
     D,
     {{{"fast_mlp.gate_proj.weight", "", "feed_forward_prime.w1.weight", F_fast},
       {"fast_mlp.up_proj.weight", "", "feed_forward_prime.w3.weight", F_fast}}}},
    {"fast.w2",
     fast<&Mlp::w2_DF>,
     Kind::fast,
     Step::fast,
     kAsItIs,
     suffix,
     F_fast,
     {{{"fast_mlp.down_proj.weight", "", "feed_forward_prime.w2.weight", D}}}},
    {"fast_post_norm",
     block<&B::fast_post_norm_D>,
     Kind::norm,
     Step::fast,
     kAsItIs,
     fast_post_norm,
     kVector,
     {{{"fast_mlp_post_norm.weight", "", "ffn_prime_post_norm.weight", D}}}},

    {"mlp_norm",
     block<&B::mlp_norm_D>,
     Kind::norm,
     Step::mlp,
     kAsItIs,
     mlp_pre_norm,
     kVector,
     {{{"post_attention_layernorm.weight", "ffn_norm.weight", "ffn_norm.weight", D}}}},
    {"mlp.w13",
     mlp<&Mlp::w13_FD>,
     Kind::matrix,
     Step::mlp,
     kQuantizable,
     has_mlp,
     D,
     {{{"mlp.gate_proj.weight", "ffn_gate.weight", "feed_forward.w1.weight", F},
       {"mlp.up_proj.weight", "ffn_up.weight", "feed_forward.w3.weight", F}}}},
    {"mlp.w2",
     mlp<&Mlp::w2_DF>,
     Kind::matrix,
     Step::mlp,
     kQuantizable,
     has_mlp,
     F,
     {{{"mlp.down_proj.weight", "ffn_down.weight", "feed_forward.w2.weight", D}}}},
    {"mlp_post_norm",
     block<&B::mlp_post_norm_D>,
     Kind::norm,
     Step::mlp,
     kAsItIs,
     mlp_post_norm,
     kVector,
     {{{"mlp_post_norm.weight", "post_ffw_norm.weight", "ffn_post_norm.weight", D}}}},

    {"inner_rate",
     whole<&W::inner_rate_S>,
     Kind::rate,
     Step::inner,
     kAsItIs,
     learned_rates,
     kVector,
     {{{"model.inner_rate", "", "", S}}}},
    {"final_norm",
     whole<&W::final_norm_D>,
     Kind::norm,
     Step::final_norm,
     kAsItIs,
     always,
     kVector,
     {{{"model.norm.weight", "output_norm.weight", "model.ln_f.weight", D}}}},
    {"head",
     whole<&W::head_VD>,
     Kind::matrix,
     Step::head,
     kQuantizable,
     untied,
     D,
     {{{"lm_head.weight", "output.weight", "lm_head.weight", V}}}},
};

std::vector<Parameter> all_rows() {
  std::vector<Parameter> out(std::begin(kBeforeMixer), std::end(kBeforeMixer));
  for (const LayerMixer* mixer : all_mixers()) {
    const std::span<const Parameter> rows = mixer->parameters();
    out.insert(out.end(), rows.begin(), rows.end());
  }
  out.insert(out.end(), std::begin(kAfterMixer), std::end(kAfterMixer));
  return out;
}

}  // namespace

std::span<const Parameter> parameter_table() {
  static const std::vector<Parameter> table = all_rows();
  return table;
}

void for_each_parameter(const ModelConfig& config, const std::function<void(const Parameter&, int64_t)>& visit) {
  const auto of_a_block = [](const Parameter& p) { return p.of_a_block(); };
  const std::span<const Parameter> table = parameter_table();
  const auto first = std::find_if(table.begin(), table.end(), of_a_block);
  const auto last = std::find_if_not(first, table.end(), of_a_block);
  const auto some = [&](auto begin, auto end, int64_t layer) {
    for (; begin != end; ++begin)
      if (begin->exists(config, layer)) visit(*begin, layer);
  };
  some(table.begin(), first, 0);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) some(first, last, layer);
  some(last, table.end(), 0);
}

std::string full_name(const Parameter& p, int64_t layer) {
  return p.of_a_block() ? fmt::format("blocks.{}.{}", layer, p.name) : std::string(p.name);
}

std::vector<int64_t> shape_of(const Parameter& p, const ModelConfig& config) {
  int64_t rows = 0;
  for (const ParameterPart& part : p.parts) rows += part.rows ? part.rows(config) : 0;
  return p.columns ? std::vector<int64_t>{rows, p.columns(config)} : std::vector<int64_t>{rows};
}

std::vector<StoredPart> stored_parts(const Parameter& p, const ModelConfig& config, int64_t layer) {
  const auto placed = [&](const char* folder, std::string_view name) {
    return p.of_a_block() && !name.empty() ? fmt::format("{}.{}.{}", folder, layer, name) : std::string(name);
  };
  std::vector<StoredPart> out;
  int64_t first_row = 0;
  for (const ParameterPart& part : p.parts) {
    if (!part.rows) break;
    const int64_t rows = part.rows(config);
    out.push_back({placed("model.layers", part.hugging_face), placed("blk", part.gguf), first_row, rows});
    first_row += rows;
  }
  return out;
}

int64_t number_count(const Parameter& p, const ModelConfig& config) {
  int64_t count = 1;
  for (const int64_t size : shape_of(p, config)) count *= size;
  return count;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t count = 0;
  for_each_parameter(config, [&](const Parameter& p, int64_t) { count += number_count(p, config); });
  return count;
}

}  // namespace ingrain
