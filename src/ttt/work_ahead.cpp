#include "ttt/work_ahead.h"

#include "model/rope.h"

namespace ingrain::ttt {
namespace {

ChunkAhead& ahead_of(const Network& model, Memory& memory, const ReadOptions& options) {
  if (!memory.ahead) memory.ahead = std::make_shared<ChunkAhead>(model.config, options.ahead);
  return *memory.ahead;
}

void step(const Network& model, Memory& m, ChunkAhead& ahead) {
  const ModelConfig& c = model.config;
  const Weights& w = model.weights;
  const int64_t first = ahead.done(), n = ahead.part_tokens(), start = m.position - m.filled;
  const auto part = [&](const Tensor& x_Bb) { return x_Bb.narrow(1, first, n); };
  if (!ahead.under_way()) {
    const auto rope = rope_table(c, start + first, n, master_type(w.type()), w.device());
    ahead.begin(part(m.h_BbD), rope, part(m.target_Bb), part(m.valid_Bb));
  }
  ahead.step(w, m.W_S, [&](int64_t block, const ops::Heads& now) {
    return attend_window(c, now, m.kv_L[static_cast<size_t>(block)].before(m.filled - first, c.window - 1));
  });
}

}  // namespace

bool should_work_ahead(const Network& model, const ReadOptions& options, int64_t tokens) {
  return options.learn && model.config.suffix_len > 0 && tokens <= options.ahead && model.weights.device().is_cpu();
}

int64_t tokens_wanted_ahead(const Network& model, Memory& memory, const ReadOptions& options, int64_t known) {
  return ahead_of(model, memory, options).whole_parts(known);
}

void work_ahead(const Network& model, Memory& memory, const ReadOptions& options, int64_t known) {
  ChunkAhead& ahead = ahead_of(model, memory, options);
  for (int64_t steps = ahead.steps_due(known); steps > 0; --steps) step(model, memory, ahead);
}

void finish_ahead(const Network& model, Memory& memory, const ReadOptions& options) {
  ChunkAhead& ahead = ahead_of(model, memory, options);
  while (ahead.done() < model.config.chunk) step(model, memory, ahead);
}

}  // namespace ingrain::ttt
