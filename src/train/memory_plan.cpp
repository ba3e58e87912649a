#include "train/memory_plan.h"

#include "base/error.h"
#include "model/mixers/mixer.h"
#include "train/sharing.h"
#include "ttt/segments.h"

namespace ingrain::train {
namespace {

/// What "auto" leaves: an eighth for what the allocator cannot use, and a block of the head's logits
/// (ops/linear_cross_entropy).
int64_t with_spare(int64_t bytes) { return bytes + bytes / 8 + (int64_t{1} << 30); }

/// Numbers that a block keeps of a token for its backward pass.
int64_t inner_values(const ModelConfig& c, int64_t layer) {
  int64_t rows = -c.hidden_size;  // of the mixer's matrices but the last, which makes D numbers
  for (const Parameter& p : mixer_of(c, layer).parameters())
    if (p.exists(c, layer) && p.kind == ParameterKind::matrix) rows += shape_of(p, c)[0];
  return 8 * c.hidden_size + 4 * rows + (c.layer(layer).mlp ? 6 * c.mlp_size : 0);
}

int64_t inner_values(const ModelConfig& c, int64_t begin, int64_t end) {
  int64_t sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += inner_values(c, i);
  return sum;
}

int64_t most_inner(const ModelConfig& c, int64_t begin, int64_t end) {
  int64_t most = 0;
  for (int64_t i = begin; i < end; ++i) most = std::max(most, inner_values(c, i));
  return most;
}

/// Of the head while its gradient is taken: blocks of logits and of their gradients, in each plane, and the gradient of
/// its matrix, which is tied or not.
int64_t head_bytes(const ModelConfig& c, int64_t rows, int64_t planes) {
  constexpr int64_t kLogits = int64_t{1} << 21, kFewestRows = 256;  // of a block (ops/linear_cross_entropy, on the CPU)
  const int64_t block = std::min(rows, std::max(kLogits / c.vocab_size, kFewestRows)) * c.vocab_size;
  return 4 * (2 * planes * block + 2 * c.vocab_size * c.hidden_size);
}

/// Sets of fast weights that the sweeps keep at a time, as meta_gradient chooses: all that steps start from and make,
/// or the starts of segments and all of one segment.
struct Kept {
  int64_t here = 0, on_host = 0;
};
Kept kept_sets(const RunConfig& run, int64_t set_bytes) {
  const ModelConfig& c = run.model.config;
  const int64_t with_M = c.inner.momentum > 0 ? 1 : 0, with_early = c.inner.step_delay > 0 ? 1 : 0;
  const ttt::KeptSets sets{2 + with_M, 1 + with_M + with_early, set_bytes};
  const ttt::Segments plan =
      ttt::plan_segments(c.inner.steps * (run.data.length / c.chunk - 1) + 1, sets, run.train.kept_mib << 20,
                         run.train.device == "cpu" ? 0 : run.train.kept_host_mib << 20);
  const int64_t starts = sets.of_start * (plan.starts() - 1);
  // On their way there and back a segment's start is in both places.
  return {sets.of_step * plan.length + (plan.on_host ? sets.of_start : starts), plan.on_host ? starts : 0};
}

/// What a pass over B sequences needs beside the state: m.fast, m.activations, m.head; and of the ranks' gradients, of
/// which `arriving` bytes come at a time while the backward pass goes through whole blocks: m.sharing.
void add_pass(const RunConfig& run, at::ScalarType compute, bool recompute, int64_t B, int64_t arriving,
              MemoryEstimate& m) {
  const ModelConfig& c = run.model.config;
  const int64_t compute_bytes = static_cast<int64_t>(c10::elementSize(compute));
  const int64_t T = run.data.length, D = c.hidden_size;
  const bool meta = run.train.mode == Mode::meta;
  const int64_t through = meta ? c.prefix_len() : c.num_layers;  // blocks that are passed with all tokens at once
  const int64_t again = T * (through * D + most_inner(c, 0, through) * 15 / 8), all = T * inner_values(c, 0, through);
  const int64_t at_once = B * compute_bytes * (recompute ? again : all);
  m.activations = at_once;
  if (!meta) {
    const int64_t at_head = B * T * compute_bytes * (recompute ? through * D : inner_values(c, 0, through));
    m.head = std::max(int64_t{0}, at_head + head_bytes(c, B * T, /*planes=*/1) - at_once - arriving);
    m.sharing += arriving;
    return;
  }
  // Two peaks, and the higher one counts: amid the sweeps, when all starts of the inner loop are kept and the suffix is
  // passed chunk by chunk, both planes of it; and in the prefix's backward pass, when nearly all of those are gone.
  const int64_t W = 3 * D * c.fast_mlp_size * c.suffix_len * 4 * B;  // one set of fast weights, all sequences
  const Kept kept = kept_sets(run, W);
  const int64_t in_sweeps = ((c.inner.plain() ? 3 : 6) + kept.here) * W;
  m.host = kept.on_host * W;
  const int64_t chunks = B * compute_bytes *
                         (T * ((recompute ? through * D : inner_values(c, 0, through)) + 2 * D) +
                          2 * c.chunk * inner_values(c, through, c.num_layers));
  const int64_t head = head_bytes(c, B * c.chunk, /*planes=*/2);
  const bool sweeps = in_sweeps + chunks + head > 2 * W + at_once + arriving;
  m.fast = sweeps ? in_sweeps : 2 * W;
  m.activations = sweeps ? chunks : at_once;
  m.head = sweeps ? head : 0;
  m.sharing += sweeps ? 0 : arriving;
}

/// Of other ranks' gradients, as Reduction lets them come.
int64_t arriving_bytes(int64_t trained, int64_t ranks) {
  const int64_t two_buckets = 2 * 4 * bucket_size(trained, static_cast<int>(ranks));
  return std::min(std::max(received_at_once(), two_buckets), 4 * trained);
}

}  // namespace

int64_t rows_at_once(const RunConfig& run, int64_t ranks) {
  if (run.train.ordered) return 1;
  return std::min(run.train.batch / run.train.accumulation, std::max(run.train.batch / ranks, int64_t{1}));
}

MemoryEstimate estimate_memory(const RunConfig& run, at::ScalarType compute, bool recompute, int64_t ranks) {
  const ModelConfig& c = run.model.config;
  const int64_t compute_bytes = static_cast<int64_t>(c10::elementSize(compute));
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
  // Where it gathers one sequence after the other, the sum that takes in what arrives is there all the time.
  const bool reduces = ranks > 1 || run.train.ordered;
  m.sharing = run.train.ordered ? 4 * m.trained / ranks : 0;
  add_pass(run, compute, recompute, rows_at_once(run, ranks), reduces ? arriving_bytes(m.trained, ranks) : 0, m);
  return m;
}

bool plan_recompute(const RunConfig& run, at::ScalarType compute, std::optional<int64_t> free, int64_t ranks) {
  const auto& asked = run.train.recompute;
  if (!free) return asked.value_or(true);
  const bool recompute = asked.value_or(with_spare(estimate_memory(run, compute, false, ranks).without_head()) > *free);
  const MemoryEstimate m = estimate_memory(run, compute, recompute, ranks);
  const auto gib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
  require(m.without_head() <= *free,
          "train.device has {:.1f} GiB free, but a step needs about {:.1f}: weights, gradients and moments {:.1f}, "
          "fast weights of the inner loop "
          "{:.1f}, activations {:.1f}; {}raise train.accumulation, which cuts a batch into smaller parts, lower "
          "train.kept_mib, give the host's memory (train.kept_host_mib), or shorten "
          "data.sequence_length",
          gib(*free), gib(m.without_head()), gib(m.state()), gib(m.fast), gib(m.activations),
          recompute ? "" : "set train.recompute = true, ");
  return recompute;
}

}  // namespace ingrain::train
