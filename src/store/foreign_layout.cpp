#include "store/foreign_layout.h"

#include "model/mixers/mixer.h"

#include <algorithm>

namespace ingrain {
namespace {

using families::TensorLayout;

constexpr std::string_view kOurWqkv = "wqkv", kOurW13 = "mlp.w13";

/// "model.layers.3.mlp.up_proj.weight" with `theirs` in place of what follows the block's number.
std::string in_block(const std::string& ours, std::string_view theirs) {
  const size_t number = ours.find("layers.") + std::string_view("layers.").size();
  return ours.substr(0, ours.find('.', number) + 1).append(theirs);
}

bool is_q(const ForeignPart& part) { return part.parameter->name == kOurWqkv && part.part.first_row == 0; }
bool is_gate(const ForeignPart& part) { return part.parameter->name == "wg"; }

std::string hugging_face_name(const TensorLayout& layout, const ForeignPart& part) {
  const std::string& ours = part.part.name;
  if (!part.parameter->of_a_block()) return ours;
  if (part.of_whole_parameter)
    return in_block(ours, part.parameter->name == kOurWqkv ? "self_attn.qkv_proj.weight" : "mlp.gate_up_proj.weight");
  for (const auto& [our_end, theirs] : layout.renamed)
    if (in_block(ours, our_end) == ours) return in_block(ours, theirs);
  if (layout.gate_in_q && is_gate(part)) return in_block(ours, "self_attn.q_proj.weight");
  return ours;
}

std::string gguf_name(const ForeignPart& part) {
  if (!part.of_whole_parameter) return part.part.gguf;
  const bool qkv = part.parameter->name == kOurWqkv;
  return fmt::format("blk.{}.{}.weight", part.layer, qkv ? "attn_qkv" : "ffn_up");
}

/// The numbers of each head, [heads d, ...], in the order that our rotation wants: of (x[i], x[i + rotated/2]) and the
/// rest that is not rotated, first halves and then second halves of both.
Tensor halves_side_by_side(const Tensor& x, int64_t head_dim, int64_t rotated) {
  const int64_t r = rotated / 2, rest = (head_dim - rotated) / 2;
  const Tensor heads = x.unflatten(0, {-1, head_dim});
  const auto some = [&](int64_t first, int64_t count) { return heads.narrow(1, first, count); };
  return at::cat({some(0, r), some(rotated, rest), some(r, r), some(rotated + rest, rest)}, 1).flatten(0, 1);
}

/// Rows of q or of the gate, of [heads 2 head_dim, ...].
Tensor rows_of_q_or_gate(const Tensor& both, int64_t head_dim, bool gate) {
  return both.unflatten(0, {-1, 2, head_dim}).select(1, gate ? 1 : 0).flatten(0, 1);
}

/// A vector or matrix of a recurrent mixer's own.
bool is_of_recurrent_mixer(const ModelConfig& c, const ForeignPart& part) {
  if (part.parameter->step != Step::mixer || !mixer_of(c, part.layer).recurrent()) return false;
  const std::span<const Parameter> rows = mixer_of(c, part.layer).parameters();
  return std::any_of(rows.begin(), rows.end(), [&](const Parameter& row) { return row.name == part.parameter->name; });
}

bool is_of_q_or_k(const ModelConfig& c, const ForeignPart& part) {
  const std::string_view name = part.parameter->name;
  if (name == "q_norm" || name == "k_norm") return true;
  return (name == kOurWqkv || name == "bqkv") && part.part.first_row < (c.num_heads + c.num_kv_heads) * c.head_dim;
}

}  // namespace

std::vector<ForeignPart> foreign_parts(const ModelConfig& config, const TensorLayout& layout, FileKind kind) {
  std::vector<ForeignPart> out;
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    const bool whole = layout.fused && (parameter.name == kOurWqkv || parameter.name == kOurW13);
    for (StoredPart& stored : stored_parts(parameter, config, layer)) {
      ForeignPart& part = out.emplace_back(ForeignPart{&parameter, layer, std::move(stored), {}, whole});
      part.name = kind == FileKind::gguf ? gguf_name(part) : hugging_face_name(layout, part);
    }
  });
  return out;
}

Tensor from_foreign(const ModelConfig& config, const TensorLayout& layout, const ForeignPart& part,
                    const Tensor& stored) {
  Tensor out = stored;
  if (layout.gate_in_q && (is_q(part) || is_gate(part)) && out.dim() == 2 && out.size(0) % (2 * config.head_dim) == 0)
    out = rows_of_q_or_gate(out, config.head_dim, is_gate(part));
  // Convolutions channel by channel are [channels, 1, width] there.
  if (part.parameter->columns && out.dim() == 3 && out.size(1) == 1) out = out.squeeze(1);
  if (part.parameter->kind == ParameterKind::norm) {
    if (layout.norms_less_one && !is_of_recurrent_mixer(config, part)) out = out.to(at::kFloat) + 1;
    if (part.parameter->step == Step::final_norm && layout.final_norm_times != 1)
      out = out.to(at::kFloat) * layout.final_norm_times;
  }
  if (!has_other_rows(config, part) || out.dim() == 0 || out.size(0) % config.head_dim != 0) return out;
  return halves_side_by_side(out, config.head_dim, rotated_dim(config, config.layer(part.layer)));
}

bool has_other_rows(const ModelConfig& config, const ForeignPart& part) {
  if (!part.parameter->of_a_block() || config.rope_interleaved || !is_of_q_or_k(config, part)) return false;
  return rotated_dim(config, config.layer(part.layer)) != config.head_dim;
}

}  // namespace ingrain
