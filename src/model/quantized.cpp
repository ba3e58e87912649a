#include "model/quantized.h"

#include "base/error.h"
#include "base/option_error.h"
#include "base/text.h"
#include "model/parameters.h"
#include "ops/memory/arena.h"

#include <fmt/ranges.h>

namespace ingrain {
namespace {

/// Moves quantized matrices into one piece of memory, in the order in which a token meets them.
void gather(const ModelConfig& config, Weights& quantized) {
  std::vector<Tensor*> matrices;
  for_each_parameter(config, [&](const Parameter& p, int64_t layer) {
    if (p.quantizable && p.step != Step::head) matrices.push_back(&p.member(quantized, layer));
  });
  matrices.push_back(&quantized.head_VD);  // there even where it is tied
  std::erase_if(matrices, [](const Tensor* m) { return !m->defined() || !ops::quantized_format(*m); });
  std::vector<ops::cpu::Shape> shapes;
  for (const Tensor* m : matrices) shapes.push_back({m->sizes().vec(), m->scalar_type()});
  const std::vector<Tensor> moved = ops::cpu::empty_side_by_side(shapes);
  for (size_t i = 0; i < moved.size(); ++i) *matrices[i] = moved[i].copy_(*matrices[i]);
}

}  // namespace

void quantize_slow_weights(Network& model, const ops::QuantizedFormat& format) {
  Weights& w = model.weights;
  require(w.device().is_cpu() && w.type() != at::kDouble,
          "{} weights are for fp32 and bf16 on the CPU; choose those, or native weights", format.name);
  Weights quantized = w;
  const auto quantize = [](Tensor& matrix, Tensor& target, const ops::QuantizedFormat& wanted) {
    if (!matrix.defined()) return;
    const ops::QuantizedFormat& fitting = ops::can_quantize(matrix.sizes(), wanted) ? wanted : ops::q8_0;
    if (!ops::can_quantize(matrix.sizes(), fitting)) return;
    target = ops::quantize(matrix, fitting);
    matrix.copy_(ops::dequantize(target));  // in place: what lies in an arena is not freed by itself
  };
  for_each_parameter(model.config, [&](const Parameter& p, int64_t layer) {
    if (p.quantizable && p.step != Step::head) quantize(p.member(w, layer), p.member(quantized, layer), format);
  });
  // The embedding is looked up, not multiplied: quantized it serves as the head alone.
  quantize(w.head_VD.defined() ? w.head_VD : w.embedding_VD, quantized.head_VD, ops::q8_0);
  quantized.embedding_VD = w.embedding_VD;
  gather(model.config, quantized);
  model.quantized = std::move(quantized);
}

std::vector<std::string> weight_forms() {
  std::vector<std::string> out{"native"};
  for (const ops::QuantizedFormat* format : ops::kQuantizedFormats) out.emplace_back(format->name);
  return out;
}

const ops::QuantizedFormat* quantized_form(std::string_view form) {
  if (form == "native") return nullptr;
  for (const ops::QuantizedFormat* format : ops::kQuantizedFormats)
    if (format->name == form) return format;
  fail_option("weights", "'{}' is not known; choose {}", printable(form), fmt::join(weight_forms(), ", "));
}

void choose_weights(Network& model, std::string_view form) {
  if (const ops::QuantizedFormat* const format = quantized_form(form)) quantize_slow_weights(model, *format);
}

}  // namespace ingrain
