#include "model/mixers/kv_binding/kv_binding.h"
#include "model/mixers/rows.h"

namespace ingrain {
namespace kv_binding_rows {

using K = KvBindingWeights;
template <Tensor K::* member>
constexpr auto of = mixer_tensor<K, member>;
constexpr auto here = has_mixer<kv_binding_mixer>;

const KvBindingSizes& sizes(const ModelConfig& c) { return c.mixers.of<KvBindingSizes>(); }
int64_t width(const ModelConfig& c) { return sizes(c).width(); }
int64_t heads(const ModelConfig& c) { return sizes(c).heads; }
int64_t inner(const ModelConfig& c) { return sizes(c).inner; }
int64_t all_inner(const ModelConfig& c) { return sizes(c).heads * sizes(c).inner; }
int64_t mini_batch(const ModelConfig& c) { return sizes(c).mini_batch; }

constexpr Parameter kRows[] = {
    {"ttt.in",
     of<&K::in_CD>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     hidden_size,
     {{{"ttt.q_proj.weight", "", "", width},
       {"ttt.k_proj.weight", "", "", width},
       {"ttt.v_proj.weight", "", "", width}}}},
    {"ttt.rate",
     of<&K::rate_HD>,
     ParameterKind::matrix,
     Step::mixer,
     false,
     here,
     hidden_size,
     {{{"ttt.lr.weight", "", "", heads}}}},
    {"ttt.rate_bias",
     of<&K::rate_bias_H>,
     ParameterKind::bias,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"ttt.lr.bias", "", "", heads}}}},
    {"ttt.place_rate",
     of<&K::place_rate_m>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"ttt.token_idx", "", "", mini_batch}}},
     zeros},
    {"ttt.W1", of<&K::W1_CF>, ParameterKind::matrix, Step::mixer, false, here, inner, {{{"ttt.W1", "", "", width}}}},
    {"ttt.b1", of<&K::b1_C>, ParameterKind::bias, Step::mixer, false, here, nullptr, {{{"ttt.b1", "", "", all_inner}}}},
    {"ttt.W2", of<&K::W2_CF>, ParameterKind::matrix, Step::mixer, false, here, inner, {{{"ttt.W2", "", "", width}}}},
    {"ttt.b2", of<&K::b2_C>, ParameterKind::bias, Step::mixer, false, here, nullptr, {{{"ttt.b2", "", "", width}}}},
    {"ttt.norm",
     of<&K::norm_C>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"ttt.ttt_norm.weight", "", "", width}}}},
    {"ttt.norm_bias",
     of<&K::norm_bias_C>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"ttt.ttt_norm.bias", "", "", width}}},
     zeros},
    {"ttt.post_norm",
     of<&K::post_norm_C>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"ttt.post_norm.weight", "", "", width}}}},
    {"ttt.post_norm_bias",
     of<&K::post_bias_C>,
     ParameterKind::norm,
     Step::mixer,
     false,
     here,
     nullptr,
     {{{"ttt.post_norm.bias", "", "", width}}},
     zeros},
    {"ttt.out",
     of<&K::out_DC>,
     ParameterKind::matrix,
     Step::mixer,
     true,
     here,
     width,
     {{{"ttt.o_proj.weight", "", "", hidden_size}}}},
};

}  // namespace kv_binding_rows

std::span<const Parameter> kv_binding_parameters() { return kv_binding_rows::kRows; }

}  // namespace ingrain
