#include "model/packed.h"

#include "base/error.h"
#include "ops/cpu/arena.h"
#include "ops/linear/q8.h"

namespace ingrain {
namespace {

/// Moves packed matrices into one piece of memory, in the order in which a token meets them.
void gather(Weights& packed) {
  std::vector<Tensor*> matrices;
  for (BlockWeights& block : packed.blocks) matrices.insert(matrices.end(), {&block.wqkv_CD, &block.wo_DC, &block.mlp.w13_FD, &block.mlp.w2_DF});
  matrices.push_back(&packed.head_VD);
  std::erase_if(matrices, [](const Tensor* m) { return !m->defined() || !ops::is_q8(*m); });
  std::vector<ops::cpu::Shape> shapes;
  for (const Tensor* m : matrices) shapes.push_back({m->sizes().vec(), m->scalar_type()});
  const std::vector<Tensor> moved = ops::cpu::empty_side_by_side(shapes);
  for (size_t i = 0; i < moved.size(); ++i) *matrices[i] = moved[i].copy_(*matrices[i]);
}

}  // namespace

void pack_slow_weights(Network& model) {
  Weights& w = model.weights;
  require(w.device().is_cpu() && w.type() != at::kDouble, "Q8_0 weights are for fp32 and bf16 on the CPU");
  Weights packed = w;
  const auto pack = [&](Tensor& matrix, Tensor& target) {
    if (!matrix.defined() || matrix.size(1) % ops::kQ8Block != 0) return;
    target = ops::pack_q8(matrix);
    matrix.copy_(ops::unpack_q8(target));  // in place: what lies in an arena is not freed by itself
  };
  for (size_t i = 0; i < w.blocks.size(); ++i) {
    BlockWeights &from = w.blocks[i], &to = packed.blocks[i];
    pack(from.wqkv_CD, to.wqkv_CD);
    pack(from.wo_DC, to.wo_DC);
    pack(from.mlp.w13_FD, to.mlp.w13_FD);
    pack(from.mlp.w2_DF, to.mlp.w2_DF);
  }
  // The embedding is looked up, not multiplied: packed it serves as the head alone.
  pack(w.head_VD.defined() ? w.head_VD : w.embedding_VD, packed.head_VD);
  packed.embedding_VD = w.embedding_VD;
  gather(packed);
  model.packed = std::move(packed);
}

void choose_weights(Network& model, std::string_view form) {
  if (form == "q8_0") return pack_slow_weights(model);
  if (form != "native") fail_usage("--weights '{}' is not known; choose native or q8_0", form);
}

}  // namespace ingrain
