#include "formats/gguf_mixture.h"

#include <algorithm>
#include <charconv>

namespace ingrain::formats {
namespace {

/// The layer of "blk.N.x"; -1 of others.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kBlock = "blk.";
  int64_t out = -1;
  if (name.starts_with(kBlock)) std::from_chars(name.data() + kBlock.size(), name.data() + name.size(), out);
  return out;
}

/// The first and the last eighth of the layers, and every third between them.
bool gets_more_bits(int64_t layer, int64_t layers) {
  const int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

bool is_iq4(std::string_view mixture) { return mixture.starts_with("iq4"); }

GgufType type_of_values(std::string_view mixture, GgufType type, const MixedModel& m, int64_t layer) {
  using enum GgufType;
  const bool grouped = m.kv_heads > 0 && m.heads / m.kv_heads >= 4;
  if (mixture == "q2_k") type = grouped ? Q4_K : Q3_K;
  if (mixture == "q3_k_m") type = layer < 2 ? Q5_K : Q4_K;
  if (mixture == "q3_k_l") type = Q5_K;
  if (is_iq4(mixture) && grouped) type = Q5_K;
  if ((mixture == "q4_k_m" || mixture == "q5_k_m") && gets_more_bits(layer, m.layers)) type = Q6_K;
  if (mixture == "q4_k_s" && layer < 4) type = Q5_K;
  const bool is_70b = m.layers == 80 && m.heads != m.kv_heads;  // eight heads share these
  return is_70b && (type == Q3_K || type == Q4_K) ? Q5_K : type;
}

GgufType type_of_ffn_down(std::string_view mixture, GgufType type, const MixedModel& m, int64_t layer) {
  using enum GgufType;
  const bool early = layer < m.layers / 8;
  if (mixture == "q2_k") return Q3_K;
  if (mixture == "q3_k_m") return layer < m.layers / 16 ? Q5_K : Q4_K;
  if (mixture == "q3_k_l") return Q5_K;
  if ((mixture == "q4_k_m" || mixture == "q5_k_m") && gets_more_bits(layer, m.layers)) return Q6_K;
  if ((is_iq4(mixture) || mixture == "q4_k_s") && early) return Q5_K;
  return type;
}

GgufType type_of_attention_output(std::string_view mixture, GgufType type) {
  using enum GgufType;
  if (mixture == "q2_k") return Q3_K;
  if (mixture == "q3_k_m") return Q4_K;
  return mixture == "q3_k_l" ? Q5_K : type;
}

bool has_whole_blocks(GgufType type, uint64_t row) {
  return row % gguf_type_info(static_cast<uint32_t>(type))->block_elements == 0;
}

/// What rows get that have no whole blocks of `type`.
GgufType fitting(GgufType type, uint64_t row) {
  using enum GgufType;
  if (has_whole_blocks(type, row)) return type;
  switch (type) {
    case Q2_K:
    case Q3_K: type = Q4_0; break;
    case Q4_K: type = Q5_0; break;
    case Q5_K: type = Q5_1; break;
    case Q6_K: type = Q8_0; break;
    case IQ4_XS: type = IQ4_NL; break;
    default: break;
  }
  return has_whole_blocks(type, row) ? type : F16;
}

bool is_matrix_of_weights(std::string_view name, const std::vector<uint64_t>& shape) {
  if (shape.size() < 2 || !name.ends_with("weight")) return false;
  constexpr std::string_view kKept[] = {"_norm.weight", "ffn_gate_inp.weight", "conv1d", "rope_"};
  return std::ranges::none_of(kKept, [&](std::string_view part) { return name.find(part) != name.npos; });
}

}  // namespace

const std::vector<GgufMixture>& gguf_mixtures() {
  using enum GgufType;
  static const std::vector<GgufMixture> all{
      {"q4_k_m", 15, Q4_K},   {"q4_k_s", 14, Q4_K}, {"q5_k_m", 17, Q5_K}, {"q5_k_s", 16, Q5_K}, {"q6_k", 18, Q6_K},
      {"q8_0", 7, Q8_0},      {"q4_0", 2, Q4_0},    {"q4_1", 3, Q4_1},    {"q5_0", 8, Q5_0},    {"q5_1", 9, Q5_1},
      {"q3_k_s", 11, Q3_K},   {"q3_k_m", 12, Q3_K}, {"q3_k_l", 13, Q3_K}, {"q2_k", 10, Q2_K},   {"iq4_nl", 25, IQ4_NL},
      {"iq4_xs", 30, IQ4_XS}, {"bf16", 32, BF16},   {"f16", 1, F16},      {"f32", 0, F32}};
  return all;
}

const GgufMixture* find_mixture(std::string_view name) {
  const auto& all = gguf_mixtures();
  const auto found = std::ranges::find(all, name, &GgufMixture::name);
  return found == all.end() ? nullptr : &*found;
}

GgufType mixed_type(const GgufMixture& mixture, const MixedModel& model, std::string_view name,
                    const std::vector<uint64_t>& shape, GgufType source) {
  using enum GgufType;
  if (!is_matrix_of_weights(name, shape)) return source;
  GgufType type = mixture.type;
  if (is_native(type)) return type;
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  const uint64_t row = shape.back();
  const int64_t layer = layer_of(name);
  if (name == "output.weight" || (model.tied && name == "token_embd.weight"))
    type = has_whole_blocks(type, row) && type != Q8_0 ? Q6_K : Q8_0;
  else if (has("attn_v.weight") || has("attn_qkv.weight"))
    type = type_of_values(mixture.name, type, model, layer);
  else if (has("ffn_down"))
    type = type_of_ffn_down(mixture.name, type, model, layer);
  else if (has("attn_output.weight"))
    type = type_of_attention_output(mixture.name, type);
  return fitting(type, row);
}

}  // namespace ingrain::formats
