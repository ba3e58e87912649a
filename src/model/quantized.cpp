#include "model/quantized.h"

#include "base/error.h"
#include "base/option_error.h"
#include "base/text.h"
#include "model/parameters.h"

#include <fmt/ranges.h>

namespace ingrain {

KeptAs rounded_to(const ModelConfig& config, const ops::QuantizedFormat& format) {
  return [&config, &format](const Parameter& p, int64_t) -> std::vector<KeptRows> {
    const bool tells_tokens_apart =
        p.step == Step::head || (p.kind == ParameterKind::embedding && config.tie_embeddings);
    if (!p.quantizable && !tells_tokens_apart) return {};
    const std::vector<int64_t> sizes = shape_of(p, config);
    for (const ops::QuantizedFormat* fitting : {tells_tokens_apart ? &ops::q8_0 : &format, &ops::q8_0})
      if (ops::can_quantize(sizes, *fitting)) return {{fitting, sizes[0]}};
    return {};
  };
}

void require_quantizable(at::ScalarType compute, at::Device device, std::string_view form) {
  require(device.is_cpu() && compute != at::kDouble,
          "{} weights are for fp32 and bf16 on the CPU; choose those, or native weights", form);
}

void quantize_slow_weights(Network& model, const ops::QuantizedFormat& format) {
  Weights& w = model.weights;
  require_quantizable(w.type(), w.device(), format.name);
  Weights quantized = make_weights(model.config, w.type(), rounded_to(model.config, format));
  for_each_parameter(model.config, [&](const Parameter& p, int64_t layer) {
    const Tensor &from = p.member(w, layer), &to = p.member(quantized, layer);
    if (ops::is_quantized(to))
      ops::quantize_into(to, from);
    else
      to.copy_(from);
  });
  w = std::move(quantized);
}

std::vector<std::string> weight_forms() {
  std::vector<std::string> out{"native", "expanded"};
  for (const ops::QuantizedFormat* format : ops::kQuantizedFormats) out.emplace_back(format->name);
  return out;
}

const ops::QuantizedFormat* quantized_form(std::string_view form) {
  if (form == "native" || form == "expanded") return nullptr;
  for (const ops::QuantizedFormat* format : ops::kQuantizedFormats)
    if (format->name == form) return format;
  fail_option("weights", "'{}' is not known; choose {}", printable(form), fmt::join(weight_forms(), ", "));
}

void choose_weights(Network& model, std::string_view form) {
  if (const ops::QuantizedFormat* const format = quantized_form(form)) quantize_slow_weights(model, *format);
}

}  // namespace ingrain
