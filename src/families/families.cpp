// The table of families, and what several of them read.
#include "families/table.h"

#include "base/error.h"
#include "base/text.h"

#include <fmt/ranges.h>

#include <algorithm>
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
    if (!(family.*name).empty())
      out.push_back(
          fmt::format("{}{}{}", family.*name, end, family.also.empty() ? "" : fmt::format(" ({})", family.also)));
  return fmt::format("{}", fmt::join(out, ", "));
}

namespace {

bool any_of(const std::vector<bool>& flags) { return std::find(flags.begin(), flags.end(), true) != flags.end(); }

}  // namespace

double default_yarn_attention_factor(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

double longrope_attention_factor(double factor, double original_length) {
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original_length));
}

void read_attention_bias(const Field& fields, ModelConfig& config) {
  const bool bias = fields.boolean("attention_bias").value_or(false);
  config.change_layers([&](LayerSpec& layer) { layer.qkv_bias = layer.o_bias = bias; });
}

void read_mlp_bias(const Field& fields, ModelConfig& config) {
  const bool bias = fields.boolean("mlp_bias").value_or(false);
  config.change_layers([&](LayerSpec& layer) { layer.mlp_bias = bias; });
}

void read_windows(const Field& fields, ModelConfig& config,
                  const std::function<bool(int64_t, const LayerSpec&)>& windowed) {
  const auto window = size(fields, "sliding_window");
  const bool used = fields.boolean("use_sliding_window").value_or(false);
  const std::vector<bool> sliding = sliding_layers(fields, nullptr, config.num_layers);
  if (!used || !window) {
    if (any_of(sliding))
      fields.at("layer_types")
          .refuse(fmt::format("names layers that slide, and {}",
                              used ? "there is no 'sliding_window'" : "'use_sliding_window' is not true"));
    return;
  }
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    if (sliding.empty() ? windowed(i, layer) : sliding[static_cast<size_t>(i)]) layer.window = *window;
  });
}

std::vector<bool> sliding_layers(const Field& fields, bool (*slides)(const Field& fields, int64_t layer),
                                 int64_t num_layers) {
  std::vector<bool> out;
  for (const std::string& type : layer_types(fields, num_layers)) out.push_back(type == "sliding_attention");
  if (!out.empty() || !slides) return out;
  for (int64_t i = 0; i < num_layers; ++i) out.push_back(slides(fields, i));
  return out;
}

void read_sliding_window(const Field& fields, ModelConfig& config, bool (*slides)(const Field& fields, int64_t layer)) {
  const auto window = size(fields, "sliding_window");
  const std::vector<bool> sliding = sliding_layers(fields, slides, config.num_layers);
  if (!window) {
    if (any_of(sliding)) fields.missing("sliding_window");
    return;
  }
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    if (sliding.empty() || sliding[static_cast<size_t>(i)]) layer.window = *window;
  });
}

void read_window_of_all(const Field& fields, ModelConfig& config) {
  if (const auto window = size(fields, "sliding_window"))
    config.change_layers([&](LayerSpec& layer) { layer.window = *window; });
}

std::optional<Field> filled(const Field& outer, const char* name) {
  auto out = outer.find(name);
  return out && out->json().is_object() && out->json().empty() ? std::nullopt : out;
}

std::optional<Field> rope_fields(const Field& config) {
  const auto scaling = filled(config, "rope_scaling");
  return scaling ? scaling : filled(config, "rope_parameters");
}

bool has_rope_by_layer_type(const Field& fields) {
  const auto rope = rope_fields(fields);
  return rope && (rope->find("full_attention") || rope->find("sliding_attention"));
}

void rotate_sliding_layers_by(double theta, ModelConfig& config) {
  config.each_layer([&](LayerSpec& layer, int64_t) {
    if (layer.full_attention()) return;
    layer.rope_theta = theta;
    layer.rope_scaling = {};
  });
}

void slide_all_but_every(int64_t interval, int64_t window, ModelConfig& config) {
  config.each_layer([&](LayerSpec& layer, int64_t i) {
    if ((i + 1) % interval != 0) layer.window = window;
  });
}

void read_windows_from_a_layer_on(const Field& fields, ModelConfig& config) {
  // transformers counts 28 layers without a window where the file says nothing.
  const int64_t full = std::min(fields.integer("max_window_layers", 0, Field::kMost).value_or(28), config.num_layers);
  read_windows(fields, config, [&](int64_t layer, const LayerSpec&) { return layer >= full; });
}

std::vector<std::string> layer_types(const Field& fields, int64_t num_layers, std::vector<std::string> known) {
  const auto types = fields.find("layer_types");
  if (!types) return {};
  std::vector<std::string> out;
  for (const Field& type : types->elements()) {
    out.push_back(type.string());
    if (std::find(known.begin(), known.end(), out.back()) == known.end())
      type.refuse(fmt::format("is '{}'; {} are supported", printable(out.back()), fmt::join(known, " and ")));
  }
  if (static_cast<int64_t>(out.size()) != num_layers)
    types->refuse(fmt::format("must list {} layers, not {}", num_layers, out.size()));
  return out;
}

}  // namespace ingrain::families
