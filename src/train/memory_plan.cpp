#include "train/memory_plan.h"

#include "base/error.h"
#include "model/mixers/mixer.h"

namespace ingrain::train {
namespace {

/// What "auto" leaves: an eighth for what the allocator cannot use, and a block of the head's logits
/// (ops/linear_cross_entropy).
int64_t with_spare(int64_t bytes) { return bytes + bytes / 8 + (int64_t{1} << 30); }

}  // namespace

MemoryEstimate estimate_memory(const RunConfig& run, at::ScalarType compute, bool recompute) {
  const ModelConfig& c = run.model.config;
  const int64_t compute_bytes = static_cast<int64_t>(c10::elementSize(compute));
  const int64_t B = run.train.batch / run.train.accumulation, T = run.data.length, D = c.hidden_size;
  MemoryEstimate m{parameter_count(c), 0, 0, 0, 0};
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) {
    m.trained += is_trained(run, full_name(p, layer)) ? number_count(p, c) : 0;
  });
  m.state = 4 * m.parameters + 12 * m.trained + (compute == at::kFloat ? 0 : compute_bytes * m.parameters);
  if (run.train.mode == Mode::meta) {
    const int64_t W = 3 * D * c.fast_mlp_size * c.suffix_len * 4 * B;  // one set of fast weights, all sequences
    const int64_t sets = c.inner.momentum > 0 ? 3 : 2;                 // kept of a step: W, g, and M
    m.fast =
        (c.inner.plain() ? 6 : 9) * W + std::min(run.train.kept_mib << 20, sets * W * c.inner.steps * (T / c.chunk));
  }
  // With recomputation: every block's input, and one block's inner values with their gradients.
  int64_t all_inner = 0, most_inner = 0;
  for (int64_t i = 0; i < c.num_layers; ++i) {
    int64_t rows = -D;  // of the mixer's matrices but the last, which makes D numbers
    for (const Parameter& p : mixer_of(c, i).parameters())
      if (p.exists(c, i) && p.kind == ParameterKind::matrix) rows += shape_of(p, c)[0];
    const int64_t inner = 8 * D + 4 * rows + (c.layer(i).mlp ? 6 * c.mlp_size : 0);
    all_inner += inner;
    most_inner = std::max(most_inner, inner);
  }
  const int64_t blocks = recompute ? c.num_layers * D + 2 * most_inner : all_inner;
  m.activations = B * T * blocks * compute_bytes;
  return m;
}

bool plan_recompute(const RunConfig& run, at::ScalarType compute, std::optional<int64_t> free) {
  const auto& asked = run.train.recompute;
  if (!free) return asked.value_or(true);
  const bool recompute = asked.value_or(with_spare(estimate_memory(run, compute, false).bytes()) > *free);
  const MemoryEstimate m = estimate_memory(run, compute, recompute);
  const auto gib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  require(m.bytes() <= *free,
          "train.device has {:.1f} GiB free, but a step needs about {:.1f}: weights, gradients and moments {:.1f}, "
          "fast weights of the inner loop "
          "{:.1f}, activations {:.1f}; {}raise train.accumulation, which cuts a batch into smaller parts, lower "
          "train.kept_mib, or shorten "
          "data.sequence_length",
          gib(*free), gib(m.bytes()), gib(m.state), gib(m.fast), gib(m.activations),
          recompute ? "" : "set train.recompute = true, ");
  return recompute;
}

}  // namespace ingrain::train
