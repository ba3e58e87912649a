// The table of families, and what several of them read.
#include "families/table.h"

#include "base/error.h"

#include <fmt/ranges.h>

#include <cmath>

namespace ingrain::families {

const std::vector<Family>& all_families() {
#define INGRAIN_CALL_FAMILY(name) name(),
  static const std::vector<Family> families{INGRAIN_FAMILIES(INGRAIN_CALL_FAMILY)};
#undef INGRAIN_CALL_FAMILY
  return families;
}

std::string known_families(std::string_view Family::* name, std::string_view end) {
  std::vector<std::string> out;
  for (const Family& family : all_families())
    out.push_back(
        fmt::format("{}{}{}", family.*name, end, family.also.empty() ? "" : fmt::format(" ({})", family.also)));
  return fmt::format("{}", fmt::join(out, ", "));
}

double default_yarn_attention_factor(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

void read_attention_bias(const ConfigFields& fields, ModelConfig& config) {
  const bool bias = fields.flag("attention_bias", false);
  config.change_layers([&](LayerSpec& layer) { layer.qkv_bias = layer.o_bias = bias; });
}

void read_mlp_bias(const ConfigFields& fields, ModelConfig& config) {
  const bool bias = fields.flag("mlp_bias", false);
  config.change_layers([&](LayerSpec& layer) { layer.mlp_bias = bias; });
}

void read_windows(const ConfigFields& fields, ModelConfig& config,
                  const std::function<bool(int64_t, const LayerSpec&)>& windowed) {
  const auto window = fields.size("sliding_window");
  if (!fields.flag("use_sliding_window", false) || !window) return;
  const auto types = layer_types(fields, config.num_layers);
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    const bool here = types.empty() ? windowed(i, layer) : types[static_cast<size_t>(i)] == "sliding_attention";
    if (here) layer.window = *window;
  });
}

void read_windows_from_a_layer_on(const ConfigFields& fields, ModelConfig& config) {
  const nlohmann::json* const given = fields.find("max_window_layers");
  require(!given || (given->is_number_integer() && *given >= 0), "{}: field '{}' must be a whole number",
          fields.source(), fields.path("max_window_layers"));
  // transformers counts 28 layers without a window where the file says nothing.
  const int64_t full = !given ? 28 : *given > config.num_layers ? config.num_layers : given->get<int64_t>();
  read_windows(fields, config, [&](int64_t layer, const LayerSpec&) { return layer >= full; });
}

std::vector<std::string> layer_types(const ConfigFields& fields, int64_t num_layers) {
  const nlohmann::json* const types = fields.find("layer_types");
  if (!types) return {};
  require(types->is_array() && static_cast<int64_t>(types->size()) == num_layers,
          "{}: field 'layer_types' must list {} layers", fields.source(), num_layers);
  std::vector<std::string> out;
  for (const nlohmann::json& type : *types) {
    require(type == "full_attention" || type == "sliding_attention",
            "{}: field 'layer_types' holds a layer that is neither 'full_attention' nor 'sliding_attention'",
            fields.source());
    out.push_back(type.get<std::string>());
  }
  return out;
}

}  // namespace ingrain::families
