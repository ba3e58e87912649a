#include "train/memory_plan.h"

#include "base/error.h"
#include "model/mixers/mixer.h"
#include "train/sharing.h"

namespace ingrain::train {
namespace {

/// What "auto" leaves: an eighth for what the allocator cannot use, and a block of the head's logits
/// (ops/linear_cross_entropy).
int64_t with_spare(int64_t bytes) { return bytes + bytes / 8 + (int64_t{1} << 30); }

}  // namespace

int64_t rows_at_once(const RunConfig& run, int64_t ranks) {
  if (run.train.ordered) return 1;
  return std::min(run.train.batch / run.train.accumulation, std::max(run.train.batch / ranks, int64_t{1}));
}

MemoryEstimate estimate_memory(const RunConfig& run, at::ScalarType compute, bool recompute, int64_t ranks) {
  const ModelConfig& c = run.model.config;
  const int64_t compute_bytes = static_cast<int64_t>(c10::elementSize(compute));
  const int64_t B = rows_at_once(run, ranks), T = run.data.length, D = c.hidden_size;
  MemoryEstimate m;
  m.parameters = parameter_count(c);
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) {
    m.trained += is_trained(run, full_name(p, layer)) ? number_count(p, c) : 0;
  });
  // fp32: the compute weights are the master weights. Else those of what is frozen are everyone's.
  const bool apart = compute != at::kFloat;
  m.weights = compute_bytes * m.parameters + (apart ? 4 * (m.parameters - m.trained) : 0);
  m.gradients = 4 * m.trained;
  m.optimizer = (apart ? 12 : 8) * m.trained / ranks;
  if (ranks > 1 || run.train.ordered) m.sharing = 4 * m.trained / ranks + std::min(received_at_once(), m.gradients);
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
    const int64_t inner = 8 * D + 4 * rows + 6 * c.mlp_size;
    all_inner += inner;
    most_inner = std::max(most_inner, inner);
  }
  const int64_t blocks = recompute ? c.num_layers * D + 2 * most_inner : all_inner;
  m.activations = B * T * blocks * compute_bytes;
  return m;
}

bool plan_recompute(const RunConfig& run, at::ScalarType compute, std::optional<int64_t> free, int64_t ranks) {
  const auto& asked = run.train.recompute;
  if (!free) return asked.value_or(true);
  const bool recompute = asked.value_or(with_spare(estimate_memory(run, compute, false, ranks).bytes()) > *free);
  const MemoryEstimate m = estimate_memory(run, compute, recompute, ranks);
  const auto gib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  require(m.bytes() <= *free,
          "train.device has {:.1f} GiB free, but a step needs about {:.1f}: weights, gradients and moments {:.1f}, "
          "fast weights of the inner loop "
          "{:.1f}, activations {:.1f}; {}raise train.accumulation, which cuts a batch into smaller parts, lower "
          "train.kept_mib, or shorten "
          "data.sequence_length",
          gib(*free), gib(m.bytes()), gib(m.state()), gib(m.fast), gib(m.activations),
          recompute ? "" : "set train.recompute = true, ");
  return recompute;
}

}  // namespace ingrain::train
