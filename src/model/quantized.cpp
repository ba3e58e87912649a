#include "model/quantized.h"

#include "base/error.h"
#include "base/text.h"
#include "ops/memory/arena.h"

#include <fmt/ranges.h>

namespace ingrain {
namespace {

/// Moves quantized matrices into one piece of memory, in the order in which a token meets them.
void gather(Weights& quantized) {
  std::vector<Tensor*> matrices;
  for (BlockWeights& block : quantized.blocks)
    matrices.insert(matrices.end(), {&block.wqkv_CD, &block.wo_DC, &block.mlp.w13_FD, &block.mlp.w2_DF});
  matrices.push_back(&quantized.head_VD);
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
  for (size_t i = 0; i < w.blocks.size(); ++i) {
    BlockWeights &from = w.blocks[i], &to = quantized.blocks[i];
    quantize(from.wqkv_CD, to.wqkv_CD, format);
    quantize(from.wo_DC, to.wo_DC, format);
    quantize(from.mlp.w13_FD, to.mlp.w13_FD, format);
    quantize(from.mlp.w2_DF, to.mlp.w2_DF, format);
  }
  // The embedding is looked up, not multiplied: quantized it serves as the head alone.
  quantize(w.head_VD.defined() ? w.head_VD : w.embedding_VD, quantized.head_VD, ops::q8_0);
  quantized.embedding_VD = w.embedding_VD;
  gather(quantized);
  model.quantized = std::move(quantized);
}

std::vector<std::string> weight_forms() {
  std::vector<std::string> out{"native"};
  for (const ops::QuantizedFormat* format : ops::kQuantizedFormats) out.emplace_back(format->name);
  return out;
}

const ops::QuantizedFormat* quantized_form(std::string_view form, std::string_view option) {
  if (form == "native") return nullptr;
  for (const ops::QuantizedFormat* format : ops::kQuantizedFormats)
    if (format->name == form) return format;
  fail_usage("{} '{}' is not known; choose {}", option, printable(form), fmt::join(weight_forms(), ", "));
}

void choose_weights(Network& model, std::string_view form) {
  if (const ops::QuantizedFormat* const format = quantized_form(form)) quantize_slow_weights(model, *format);
}

}  // namespace ingrain
