#include "model/mixers/attention/attention.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace attention_rows {

using A = AttentionWeights;
template <Tensor A::* member>
constexpr auto of = mixer_tensor<A, member>;

int64_t Q(const ModelConfig& c) { return c.num_heads * c.head_dim; }
int64_t KV(const ModelConfig& c) { return c.num_kv_heads * c.head_dim; }
int64_t of_q_norm(const ModelConfig& c) { return c.qk_norm_whole ? Q(c) : c.head_dim; }
int64_t of_k_norm(const ModelConfig& c) { return c.qk_norm_whole ? KV(c) : c.head_dim; }
bool qkv_bias(const ModelConfig& c, int64_t layer) {
  return has_mixer<attention_mixer>(c, layer) && c.layer(layer).qkv_bias;
}
int64_t H(const ModelConfig& c) { return c.num_heads; }
bool sink(const ModelConfig& c, int64_t layer) { return has_mixer<attention_mixer>(c, layer) && c.layer(layer).sink; }
bool sink_logit(const ModelConfig& c, int64_t layer) {
  return has_mixer<attention_mixer>(c, layer) && c.layer(layer).sink_logit;
}
bool output_gate(const ModelConfig& c, int64_t layer) {
  return has_mixer<attention_mixer>(c, layer) && c.layer(layer).output_gate;
}
bool qk_norm(const ModelConfig& c, int64_t layer) {
  return has_mixer<attention_mixer>(c, layer) && c.layer(layer).qk_norm;
}

constexpr Parameter kRows[] = {
    {"wqkv",
     of<&A::wqkv_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     has_mixer<attention_mixer>,
     hidden_size,
     {{{"self_attn.q_proj.weight", "attn_q.weight", "seq_modeling_block.wq.weight", Q},
       {"self_attn.k_proj.weight", "attn_k.weight", "seq_modeling_block.wk.weight", KV},
       {"self_attn.v_proj.weight", "attn_v.weight", "seq_modeling_block.wv.weight", KV}}}},
    {"bqkv",
     of<&A::bqkv_C>,
     ParameterKind::bias,
     Step::mixer,
     false,
     qkv_bias,
     nullptr,
     {{{"self_attn.q_proj.bias", "attn_q.bias", "", Q},
       {"self_attn.k_proj.bias", "attn_k.bias", "", KV},
       {"self_attn.v_proj.bias", "attn_v.bias", "", KV}}}},
    {"q_norm",
     of<&A::q_norm_d>,
     ParameterKind::norm,
     Step::mixer,
     false,
     qk_norm,
     nullptr,
     {{{"self_attn.q_norm.weight", "attn_q_norm.weight", "seq_modeling_block.q_norm.weight", of_q_norm}}}},
    {"k_norm",
     of<&A::k_norm_d>,
     ParameterKind::norm,
     Step::mixer,
     false,
     qk_norm,
     nullptr,
     {{{"self_attn.k_norm.weight", "attn_k_norm.weight", "seq_modeling_block.k_norm.weight", of_k_norm}}}},
    {"wo",
     of<&A::wo_DC>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     has_mixer<attention_mixer>,
     Q,
     {{{"self_attn.o_proj.weight", "attn_output.weight", "seq_modeling_block.wo.weight", hidden_size}}}},
    {"wg",
     of<&A::wg_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     output_gate,
     hidden_size,
     {{{"self_attn.gate_proj.weight", "", "", Q}}}},
    {"sink_logit",
     of<&A::sink_logit_H>,
     ParameterKind::bias,
     Step::mixer,
     false,
     sink_logit,
     nullptr,
     {{{"self_attn.sinks", "attn_sinks.weight", "", H}}}},
    {"sink",
     of<&A::sink_HD>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     sink,
     hidden_size,
     {{{"self_attn.sink.weight", "", "", H}}}},
    {"sink_v",
     of<&A::sink_v_C>,
     ParameterKind::bias,
     Step::mixer,
     false,
     sink,
     nullptr,
     {{{"self_attn.sink.value", "", "", KV}}}},
};

}  // namespace attention_rows

std::span<const Parameter> attention_parameters() { return attention_rows::kRows; }

}  // namespace ingrain
