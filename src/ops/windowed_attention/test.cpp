// Windowed attention: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <fmt/format.h>

#include <cmath>

namespace ingrain::test {
namespace {

struct AttentionRow {
  const char* name;
  int64_t batch, tokens, past, q_heads, kv_heads, head_dim, window;
  bool sink = false;
};

Tensor plain_attention(const Tensor& q_BTHd, const Tensor& k_BKGd, const Tensor& v_BKGd, int64_t window, double scale,
                       const Tensor& sink_BTH, const Tensor& sink_v_Gd) {
  const int64_t T = q_BTHd.size(1), K = k_BKGd.size(1), groups = q_BTHd.size(2) / k_BKGd.size(2);
  const Tensor i = at::arange(K - T, K).unsqueeze(1), j = at::arange(K).unsqueeze(0);
  const Tensor hidden = j.gt(i).logical_or_(j.le(i - window));
  const auto heads = [&](const Tensor& x) { return x.repeat_interleave(groups, 2).transpose(1, 2); };
  const Tensor s = q_BTHd.transpose(1, 2).matmul(heads(k_BKGd).transpose(-1, -2)) * scale;
  if (!sink_BTH.defined()) return s.masked_fill(hidden, -1e300).softmax(-1).matmul(heads(v_BKGd)).transpose(1, 2);
  const Tensor sink_BHT1 = sink_BTH.transpose(1, 2).unsqueeze(-1).masked_fill(i.lt(window), -1e300);
  const Tensor v_BGd = sink_v_Gd.unsqueeze(0).expand({v_BKGd.size(0), -1, -1});
  return at::cat({s.masked_fill(hidden, -1e300), sink_BHT1}, -1)
      .softmax(-1)
      .matmul(heads(at::cat({v_BKGd, v_BGd.unsqueeze(1)}, 1)))
      .transpose(1, 2);
}

Case attention_case(const AttentionRow& row, int64_t P) {
  Case c = new_case(fmt::format("windowed_attention_{}", row.name), P);
  Inputs in(c);
  in.planed({row.batch, row.tokens, row.q_heads, row.head_dim});
  in.planed({row.batch, row.tokens, row.kv_heads, row.head_dim});
  in.planed({row.batch, row.tokens, row.kv_heads, row.head_dim});
  if (row.sink) in.planed({row.batch, row.tokens, row.q_heads}, 2);
  if (row.sink) in.slow(in.normal({row.kv_heads, row.head_dim}));
  if (row.past > 0) {
    in.slow(in.normal({row.batch, row.past, row.kv_heads, row.head_dim}));
    in.slow(in.normal({row.batch, row.past, row.kv_heads, row.head_dim}));
  }
  const double scale = 1 / std::sqrt(static_cast<double>(row.head_dim));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const size_t first = row.sink ? 1 : 0;
    const ops::KvWindow past = row.past == 0 ? ops::KvWindow{} : ops::KvWindow{slow[first], slow[first + 1]};
    const ops::Sink sink = row.sink ? ops::Sink{x[3], slow[0]} : ops::Sink{};
    return {ops::windowed_attention(x[0], x[1], x[2], past, row.window, scale, sink)};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const size_t first = row.sink ? 1 : 0;
    const auto with_past = [&](size_t i) { return row.past == 0 ? x[i] : at::cat({slow[first + i - 1], x[i]}, 1); };
    return {plain_attention(x[0], with_past(1), with_past(2), row.window, scale, row.sink ? x[3] : Tensor(),
                            row.sink ? slow[0] : Tensor())};
  };
  return c;
}

const AttentionRow kAttentionRows[] = {
    {"one_token", 1, 1, 0, 1, 1, 8, 4},
    {"decode", 2, 1, 37, 4, 2, 16, 30},
    {"decode_long", 1, 2, 700, 6, 2, 64, 600},
    {"window_1", 1, 9, 3, 2, 1, 16, 1},
    {"window_over_all", 1, 33, 0, 2, 2, 64, 99},
    {"past_1", 2, 13, 1, 3, 1, 12, 5},
    {"past_odd", 1, 50, 29, 4, 2, 20, 30},
    {"chunk", 1, 130, 200, 2, 1, 64, 150},
    {"past_unseen", 1, 40, 60, 2, 2, 96, 16},
    {"head_dim_128", 1, 21, 11, 2, 1, 128, 17},
    {"several_tiles", 2, 260, 0, 1, 1, 16, 100},
    {"grouped_tiles", 1, 70, 33, 4, 2, 80, 64},
    {"odd_head_dim", 1, 121, 97, 2, 1, 33, 75},
    {"decode_grouped_by_5", 1, 3, 150, 5, 1, 33, 120},
    {"decode_grouped_by_11", 2, 1, 90, 11, 1, 72, 200},
    {"sink_not_seen_yet", 1, 9, 0, 2, 1, 16, 20, true},
    {"sink_seen_by_some", 2, 33, 5, 4, 2, 20, 17, true},
    {"sink_chunk", 1, 130, 150, 3, 1, 64, 150, true},
    {"sink_decode", 2, 1, 30, 4, 2, 16, 30, true},
    {"sink_before_it_is_seen", 1, 1, 29, 4, 2, 16, 30, true},
    {"sink_past_unseen", 1, 40, 60, 2, 2, 96, 16, true},
};

struct AttentionInputs {
  Tensor q, k, v;
  ops::KvWindow past;
  int64_t window = 4;
  double scale = 0.5;
  ops::Sink sink;
  explicit AttentionInputs(at::ScalarType type)
      : q(at::ones({1, 2, 5, 4, 8}, type)),
        k(at::ones({1, 2, 5, 2, 8}, type)),
        v(k),
        past{at::ones({2, 3, 2, 8}, type), at::ones({2, 3, 2, 8}, type)},
        sink{at::ones({1, 2, 5, 4}, type), at::ones({2, 8}, type)} {}
  void run() const { ops::windowed_attention(q, k, v, past, window, scale, sink); }
};
TEST(Refused, attention) {
  expect_refused<AttentionInputs>({
      {"heads that cannot share keys", [](auto& in) { in.q = in.q.narrow(3, 0, 3); }},
      {"fewer keys than queries", [](auto& in) { in.k = in.v = in.k.narrow(2, 0, 4); }},
      {"values unlike keys", [](auto& in) { in.v = in.v.narrow(2, 0, 4); }},
      {"keys without their tangents", [](auto& in) { in.q = in.q.repeat({2, 1, 1, 1, 1}); }},
      {"other heads' width", [](auto& in) { in.q = in.q.narrow(4, 0, 4); }},
      {"another type", [](auto& in) { in.v = in.v.to(at::kHalf); }},
      {"a past of another batch", [](auto& in) { in.past.k_BWGd = in.past.k_BWGd.narrow(0, 0, 1); }},
      {"a past of other heads",
       [](auto& in) { in.past = {in.past.k_BWGd.narrow(2, 0, 1), in.past.v_BWGd.narrow(2, 0, 1)}; }},
      {"a past whose values are fewer", [](auto& in) { in.past.v_BWGd = in.past.v_BWGd.narrow(1, 0, 2); }},
      {"a past without values", [](auto& in) { in.past.v_BWGd = Tensor(); }},
      {"a past of another type", [](auto& in) { in.past.v_BWGd = in.past.v_BWGd.to(at::kHalf); }},
      {"a sink without a value", [](auto& in) { in.sink.v_Gd = Tensor(); }},
      {"a sink's value without scores", [](auto& in) { in.sink.s_PBTH = Tensor(); }},
      {"a sink of fewer heads", [](auto& in) { in.sink.s_PBTH = in.sink.s_PBTH.narrow(3, 0, 2); }},
      {"a sink of other heads of keys", [](auto& in) { in.sink.v_Gd = in.sink.v_Gd.narrow(0, 0, 1); }},
      {"a sink of another type", [](auto& in) { in.sink.v_Gd = in.sink.v_Gd.to(at::kHalf); }},
      {"a window of nothing", [](auto& in) { in.window = 0; }},
      {"a scale that turns scores round", [](auto& in) { in.scale = -1; }},
  });
}

}  // namespace

std::vector<Case> windowed_attention_cases(int64_t P) {
  std::vector<Case> cases;
  for (const auto& row : kAttentionRows) cases.push_back(attention_case(row, P));
  return cases;
}

}  // namespace ingrain::test
