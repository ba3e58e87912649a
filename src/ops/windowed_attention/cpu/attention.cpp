// Windowed attention on the CPU: what runs on which thread. This file is compiled once per instruction set.
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/windowed_attention/cpu/attention.cpp"
#include <hwy/foreach_target.h>
#include "ops/windowed_attention/cpu/backward-inl.h"
#include "ops/windowed_attention/cpu/forward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ingrain::ops::HWY_NAMESPACE {

void ForwardItems(const TiledCall& c, int64_t kv_head, int64_t begin, int64_t end, float* scratch, void* o, float* lse,
                  float* r) {
  c.type == Number::fp32 ? ForwardItemsAs<float>(c, kv_head, begin, end, scratch, o, lse, r)
                         : ForwardItemsAs<BFloat16>(c, kv_head, begin, end, scratch, o, lse, r);
}
void PrepareBackward(const BackwardOperands& t, const void* go, const void* o, int64_t head, int64_t tile) {
  t.call.type == Number::fp32 ? PrepareBackwardAs<float>(t, go, o, head, tile)
                              : PrepareBackwardAs<BFloat16>(t, go, o, head, tile);
}
void BackwardOfBlock(const BackwardOperands& t, int64_t kv_head, int64_t block, float* gq, float* scratch,
                     const KeyGradient& gk, const KeyGradient& gv) {
  t.call.type == Number::fp32 ? BackwardBlockAs<float>(t, kv_head, block, gq, scratch, gk, gv)
                              : BackwardBlockAs<BFloat16>(t, kv_head, block, gq, scratch, gk, gv);
}
void StoreQueryGradient(const BackwardOperands& t, int64_t splits, int64_t split_floats, int64_t head, int64_t tile,
                        void* gq) {
  t.call.type == Number::fp32 ? StoreQueryGradientAs<float>(t, splits, split_floats, head, tile, gq)
                              : StoreQueryGradientAs<BFloat16>(t, splits, split_floats, head, tile, gq);
}

}  // namespace ingrain::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "ops/graph/parallel.h"
#include "ops/windowed_attention/cpu/decode_attention.h"
#include "ops/windowed_attention/operands.h"

#include <ATen/ceil_div.h>

namespace ingrain::ops {
namespace {

HWY_EXPORT(ForwardItems);
HWY_EXPORT(PrepareBackward);
HWY_EXPORT(BackwardOfBlock);
HWY_EXPORT(StoreQueryGradient);

/// Up to so many rows (queries times the heads that share a key) k and v are used as they lie, without tiles.
constexpr int64_t kMostRowsAsTheyLie = 16;

Tensor floats(int64_t n) { return at::empty({n}, at::kFloat); }

DecodeAttention decode_call(const AttentionCall& c, int64_t sequence) {
  const int64_t row = c.kv_heads * c.head_dim, element = static_cast<int64_t>(size_of(c.type));
  const auto at = [&](const void* base, int64_t elements) {
    return static_cast<const char*>(base) + elements * element;
  };
  const auto runs = [&](const KeySource& x) {
    const void* const now = at(x.now, sequence * c.tokens * row);
    return KeyRuns{x.past ? at(x.past, sequence * x.past_batch_stride) : now, now, x.past_stride, row};
  };
  return {.type = c.type,
          .queries = c.tokens,
          .q_heads = c.q_heads,
          .kv_heads = c.kv_heads,
          .head_dim = c.head_dim,
          .window = c.window,
          .scale = c.scale,
          .before = c.past,
          .first_rows = c.past,
          .q = at(c.q, sequence * c.tokens * c.q_heads * c.head_dim),
          .k = runs(c.k),
          .v = runs(c.v)};
}

AttentionKernels::Output forward_few(const AttentionOperands& operands, const Tensor& o, const Tensor& stats) {
  const TiledCall c{operands.call()};
  const int64_t parts =
      std::clamp<int64_t>(c.keys() / kFewKeys, 1, at::ceil_div(int64_t{at::get_num_threads()}, c.batch));
  decode_attention(
      c.batch, parts, at::ceil_div(32768 * parts, c.keys() * c.kv_heads * c.head_dim),
      [operands](int64_t sequence) { return decode_call(operands.call(), sequence); }, o[0], stats[0]);
  return {o, stats};
}

/// How many tiles meet a block of keys together: what fits half the second-level cache, and leaves every thread two
/// tasks.
int64_t items_per_task(const TiledCall& c) {
  constexpr int64_t kCacheFloats = int64_t{512} * 1024 / 4;
  const int64_t in_cache = std::max<int64_t>(1, kCacheFloats / (2 * c.tile_floats()));
  const int64_t fair = std::max<int64_t>(1, c.batch * c.kv_heads * c.items() / (2 * at::get_num_threads()));
  return std::min({in_cache, fair, c.items()});
}

AttentionKernels::Output forward(const Tensor& q, const Tensor& k, const Tensor& v, const KvWindow& past,
                                 int64_t window, double scale) {
  if (q.size(4) > kMaxHeadDim) return attention_reference.forward(q, k, v, past, window, scale);
  const AttentionOperands operands(q, k, v, past, window, scale);
  const TiledCall c{operands.call()};
  const Tensor o = at::empty(q.sizes(), q.options());
  const Tensor stats = at::empty({c.planes, c.batch, c.q_heads, c.tokens}, at::kFloat);
  if (o.numel() == 0) return {o, stats};
  if (c.planes == 1 && c.tokens * c.groups() <= kMostRowsAsTheyLie) return forward_few(operands, o, stats);
  float *const lse = stats.data_ptr<float>(), *const r = lse + c.batch * c.q_heads * c.tokens;
  const int64_t heads = c.batch * c.kv_heads, per_task = items_per_task(c),
                tasks = (c.items() + per_task - 1) / per_task;
  const int64_t scratch_floats = kForwardScores + 3 * c.block_floats() + per_task * 2 * c.tile_floats();
  const auto run = HWY_DYNAMIC_DISPATCH(ForwardItems);
  cpu::for_each_task(heads * tasks, scratch_floats, [&](int64_t task, float* scratch) {
    const int64_t begin = task % tasks * per_task;
    run(c, task / tasks, begin, std::min(begin + per_task, c.items()), scratch, o.data_ptr(), lse, r);
  });
  return {o, stats};
}

/// Splits of the keys so that every thread has work; with one split gq needs no partial sums.
int64_t splits_for(const TiledCall& c) {
  const int64_t heads = c.batch * c.kv_heads, threads = at::get_num_threads();
  if (heads % threads == 0 || heads >= 8 * threads) return 1;
  return std::min(c.blocks(), (4 * threads + heads - 1) / heads);
}

AttentionKernels::Gradients backward(const Tensor& go_in, const Tensor& q, const Tensor& k, const Tensor& v,
                                     const KvWindow& past, const AttentionKernels::Output& output, int64_t window,
                                     double scale, bool want_past) {
  if (q.size(4) > kMaxHeadDim)
    return attention_reference.backward(go_in, q, k, v, past, output, window, scale, want_past);
  const AttentionOperands operands(q, k, v, past, window, scale);
  const TiledCall c{operands.call()};
  const Tensor go = go_in.contiguous();
  AttentionKernels::Gradients out{
      at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()), at::empty(v.sizes(), v.options()), {}, {}};
  KeyGradient gk{out.k_PBTGd.data_ptr(), nullptr, 0}, gv{out.v_PBTGd.data_ptr(), nullptr, 0};
  if (want_past && past.length() > 0) {
    out.past_k_BWGd = operands.past_gradient(past.k_BWGd, gk);
    out.past_v_BWGd = operands.past_gradient(past.v_BWGd, gv);
  }
  if (q.numel() == 0) return out;

  const int64_t tasks = c.batch * c.q_heads * c.tiles(), tile_total = tasks * c.tile_floats();
  const int64_t rows = c.batch * c.q_heads * c.tokens, splits = splits_for(c);
  const Tensor tiles_q = floats(tile_total), tiles_go = floats(tile_total), sums = floats(2 * rows);
  const Tensor gq = at::zeros({splits, tile_total}, at::kFloat);
  const float* const lse = output.stats.const_data_ptr<float>();
  float* const sum = sums.data_ptr<float>();
  const BackwardOperands tiles{
      c, lse, lse + rows, sum, sum + rows, tiles_q.data_ptr<float>(), tiles_go.data_ptr<float>(), gq.data_ptr<float>()};
  const auto prepare = HWY_DYNAMIC_DISPATCH(PrepareBackward);
  cpu::for_each_task(tasks, 0, [&](int64_t task, float*) {
    prepare(tiles, go.const_data_ptr(), output.o_PBTHd.const_data_ptr(), task / c.tiles(), task % c.tiles());
  });
  const auto run = HWY_DYNAMIC_DISPATCH(BackwardOfBlock);
  const int64_t scratch_floats = 4 * kTileRows * kTileKeys + 5 * c.block_floats();
  cpu::for_each_task(c.batch * c.kv_heads * splits, scratch_floats, [&](int64_t task, float* scratch) {
    const int64_t head = task / splits, split = task % splits;
    float* const gq_of_split = tiles.gq + split * tile_total;
    for (int64_t block = c.blocks() * split / splits; block < c.blocks() * (split + 1) / splits; ++block)
      run(tiles, head, block, gq_of_split, scratch, gk, gv);
  });
  const auto store = HWY_DYNAMIC_DISPATCH(StoreQueryGradient);
  cpu::parallel_uncaptured(tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task)
      store(tiles, splits, tile_total, task / c.tiles(), task % c.tiles(), out.q_PBTHd.data_ptr());
  });
  return out;
}

}  // namespace

const AttentionKernels attention_cpu{forward, backward};

}  // namespace ingrain::ops
#endif
