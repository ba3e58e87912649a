#include "model/mixers/kv_binding/kv_binding.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace kv_binding_rows {

using K = KvBindingWeights;
using R = MixerRows<K, kv_binding_mixer>;

const KvBindingSizes& sizes(const ModelConfig& c) { return c.mixers.of<KvBindingSizes>(); }
constexpr Size width = size_in<KvBindingSizes, &KvBindingSizes::width>;
constexpr Size heads = size_in<KvBindingSizes, &KvBindingSizes::heads>;
constexpr Size inner = size_in<KvBindingSizes, &KvBindingSizes::inner>;
int64_t all_inner(const ModelConfig& c) { return sizes(c).heads * sizes(c).inner; }
constexpr Size mini_batch = size_in<KvBindingSizes, &KvBindingSizes::mini_batch>;

constexpr Parameter kRows[] = {
    R::quantizable<&K::in_CD>(
        "ttt.in", hidden_size,
        {{"ttt.q_proj.weight", width}, {"ttt.k_proj.weight", width}, {"ttt.v_proj.weight", width}}),
    R::matrix<&K::rate_HD>("ttt.rate", hidden_size, {{"ttt.lr.weight", heads}}),
    R::bias<&K::rate_bias_H>("ttt.rate_bias", {{"ttt.lr.bias", heads}}),
    R::norm<&K::place_rate_m>("ttt.place_rate", {{"ttt.token_idx", mini_batch}}, zeros),
    R::matrix<&K::W1_CF>("ttt.W1", inner, {{"ttt.W1", width}}),
    R::bias<&K::b1_C>("ttt.b1", {{"ttt.b1", all_inner}}),
    R::matrix<&K::W2_CF>("ttt.W2", inner, {{"ttt.W2", width}}),
    R::bias<&K::b2_C>("ttt.b2", {{"ttt.b2", width}}),
    R::norm<&K::norm_C>("ttt.norm", {{"ttt.ttt_norm.weight", width}}),
    R::norm<&K::norm_bias_C>("ttt.norm_bias", {{"ttt.ttt_norm.bias", width}}, zeros),
    R::norm<&K::post_norm_C>("ttt.post_norm", {{"ttt.post_norm.weight", width}}),
    R::norm<&K::post_bias_C>("ttt.post_norm_bias", {{"ttt.post_norm.bias", width}}, zeros),
    R::quantizable<&K::out_DC>("ttt.out", width, {{"ttt.o_proj.weight", hidden_size}}),
};

}  // namespace kv_binding_rows

std::span<const Parameter> kv_binding_parameters() { return kv_binding_rows::kRows; }

}  // namespace ingrain
