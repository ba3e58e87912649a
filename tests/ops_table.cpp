// The table: one function per operation turns a row of sizes into a case.
#include "ops_table.h"

#include "ops/qkv_rope/qkv_rope.h"
#include "ops/checks.h"
#include "ops/linear/linear.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/residual/residual.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>

namespace ingrain::test {

bool Case::is_wide(size_t i) const { return std::ranges::count(wide, i) > 0; }
bool Case::has_constant_tangent(size_t i) const { return std::ranges::count(constant_tangents, i) > 0; }

namespace {

constexpr double kEps = 1e-6;

/// Fills a case's inputs from one seeded stream, so that every run sees the same numbers.
class Inputs {
 public:
  Inputs(Case& c) : case_(c), generator_(at::make_generator<at::CPUGeneratorImpl>(1234)) {}

  Tensor normal(at::IntArrayRef sizes, double scale = 1) { return at::randn(sizes, generator_, at::kDouble) * scale; }
  void planed(at::IntArrayRef sizes, double scale = 1) {
    case_.values.push_back(normal(sizes, scale));
    case_.tangents.push_back(normal(sizes, scale));
  }
  void slow(const Tensor& x) { case_.slow.push_back(x); }
  void wide(const Tensor& x) {
    case_.wide.push_back(case_.slow.size());
    slow(x);
  }

 private:
  Case& case_;
  at::Generator generator_;
};

Case new_case(const std::string& name, int64_t planes) {
  Case c;
  c.name = fmt::format("{}_P{}", name, planes);
  c.planes = planes;
  c.finish = [](const Tensors& y, const Tensors& dy) {
    Tensors out;
    for (size_t i = 0; i < y.size(); ++i) out.push_back(dy.empty() ? y[i].unsqueeze(0) : at::stack({y[i], dy[i]}));
    return out;
  };
  return c;
}

Tensor plain_norm(const Tensor& x, const Tensor& w) { return x * (x.square().mean(-1, true) + kEps).rsqrt() * w; }

enum class Residual { none, planed, value_only };

struct RmsNormRow {
  const char* name;
  std::vector<int64_t> sizes;
  Residual residual;
};

Case rms_norm_case(const RmsNormRow& row, int64_t P) {
  Case c = new_case(fmt::format("rms_norm_{}", row.name), P);
  Inputs in(c);
  in.planed(row.sizes);
  in.wide(in.normal({row.sizes.back()}) * 0.3 + 1);
  if (row.residual == Residual::planed) in.planed(row.sizes);
  if (row.residual == Residual::value_only) in.slow(in.normal(row.sizes));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    switch (row.residual) {
      case Residual::none: return {ops::rms_norm(x[0], slow[0], kEps)};
      case Residual::planed: return {ops::add_rms_norm(x[1], x[0], slow[0], kEps)};
      case Residual::value_only: break;
    }
    return {ops::add_rms_norm(slow[1].unsqueeze(0), x[0], slow[0], kEps)};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const Tensor y = plain_norm(x[0], slow[0]);
    if (row.residual == Residual::none) return {y};
    return {y + (row.residual == Residual::planed ? x[1] : slow[1])};
  };
  return c;
}

Case residual_case(const char* name, const std::vector<int64_t>& sizes, Residual residual, int64_t P) {
  Case c = new_case(fmt::format("residual_{}", name), P);
  Inputs in(c);
  in.planed(sizes);
  if (residual == Residual::planed)
    in.planed(sizes);
  else
    in.slow(in.normal(sizes));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    return {ops::add_residual(residual == Residual::planed ? x[1] : slow[0].unsqueeze(0), x[0])};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    return {x[0] + (residual == Residual::planed ? x[1] : slow[0])};
  };
  return c;
}

struct HeadsRow {
  const char* name;
  int64_t batch, tokens, q_heads, kv_heads, head_dim;
  bool interleaved, norm;
};

Tensor plain_rotation(const Tensor& x_BTHd, const Tensor& angles_TR, bool interleaved) {
  const Tensor turn = at::polar(at::ones_like(angles_TR), angles_TR).unsqueeze(1);
  const Tensor pairs = interleaved ? x_BTHd.unflatten(-1, {-1, 2}) : x_BTHd.unflatten(-1, {2, -1}).transpose(-1, -2);
  const Tensor turned = at::view_as_real(at::view_as_complex(pairs.contiguous()) * turn);
  return (interleaved ? turned : turned.transpose(-1, -2)).flatten(-2);
}

Case heads_case(const HeadsRow& row, int64_t P) {
  Case c = new_case(fmt::format("heads_{}", row.name), P);
  const ops::HeadShape shape{row.q_heads, row.kv_heads, row.head_dim};
  Inputs in(c);
  in.planed({row.batch, row.tokens, shape.width()});
  if (row.norm) {
    in.wide(in.normal({row.head_dim}) * 0.3 + 1);
    in.wide(in.normal({row.head_dim}) * 0.3 + 1);
  }
  const Tensor angles_TR = in.normal({row.tokens, row.head_dim / 2}, 3);
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const auto type = ops::accumulate_type(x[0].scalar_type());
    const Tensor angles = angles_TR.to(x[0].device());
    const ops::RopeTable rope{angles.cos().to(type), angles.sin().to(type), row.interleaved};
    const auto h =
        ops::split_heads(x[0], row.norm ? slow[0] : Tensor(), row.norm ? slow[1] : Tensor(), rope, shape, kEps);
    return {h.q_PBTHd, h.k_PBTGd, h.v_PBTGd};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const auto parts =
        x[0].unflatten(-1, {-1, row.head_dim}).split_with_sizes({row.q_heads, row.kv_heads, row.kv_heads}, 2);
    const auto normed = [&](size_t i) { return row.norm ? plain_norm(parts[i], slow[i]) : parts[i]; };
    return {plain_rotation(normed(0), angles_TR, row.interleaved),
            plain_rotation(normed(1), angles_TR, row.interleaved), parts[2]};
  };
  return c;
}

Case swiglu_case(const char* name, const std::vector<int64_t>& sizes, int64_t P) {
  Case c = new_case(fmt::format("swiglu_{}", name), P);
  Inputs(c).planed(sizes, 2);
  c.engine = [](const Tensors& x, const Tensors&) -> Tensors { return {ops::swiglu(x[0])}; };
  c.formula = [](const Tensors& x, const Tensors&) -> Tensors {
    const auto halves = x[0].chunk(2, -1);
    return {at::silu(halves[0]) * halves[1]};
  };
  return c;
}

struct LinearRow {
  const char* name;
  int64_t batch, tokens, in, out;
  bool bias;
};

Case linear_case(const LinearRow& row, int64_t P) {
  Case c = new_case(fmt::format("linear_{}", row.name), P);
  Inputs in(c);
  in.planed({row.batch, row.tokens, row.in});
  in.slow(in.normal({row.out, row.in}));
  if (row.bias) in.slow(in.normal({row.out}));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    return {ops::linear(x[0], slow[0], row.bias ? slow[1] : Tensor())};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const Tensor y = x[0].matmul(slow[0].t());
    return {row.bias ? y + slow[1] : y};
  };
  return c;
}

/// A fast weight has planes too: its tangent is given beside it, and is a constant.
Case fast_linear_case(const LinearRow& row, int64_t P) {
  Case c = new_case(fmt::format("fast_linear_{}", row.name), P);
  Inputs in(c);
  in.planed({row.batch, row.tokens, row.in});
  in.planed({row.batch, row.out, row.in});
  c.constant_tangents = {1};
  c.engine = [](const Tensors& x, const Tensors&) -> Tensors {
    const Tensor &w = x[1], dw = w.size(0) == 2 ? w.select(0, 1).detach() : Tensor();
    return {ops::fast_linear(x[0], w.select(0, 0), dw)};
  };
  c.formula = [](const Tensors& x, const Tensors&) -> Tensors { return {x[0].bmm(x[1].transpose(1, 2))}; };
  return c;
}

/// As inner steps have it: fp32 where the rows are bf16.
Case fast_linear_with_wide_weight(const LinearRow& row, int64_t P) {
  Case c = fast_linear_case(row, P);
  c.name = fmt::format("fast_linear_{}_wide_weight_P{}", row.name, P);
  c.engine = [](const Tensors& x, const Tensors&) -> Tensors {
    const Tensor w = x[1].scalar_type() == at::kBFloat16 ? x[1].to(at::kFloat) : x[1];
    return {ops::fast_linear(x[0], w.select(0, 0), w.size(0) == 2 ? w.select(0, 1).detach() : Tensor())};
  };
  return c;
}

/// The first fast weight's case: its input has no tangent.
Case fast_linear_without_input_tangent(const LinearRow& row) {
  Case c = fast_linear_case(row, 2);
  c.name = fmt::format("fast_linear_{}_x_without_tangent_P2", row.name);
  std::swap(c.values[0], c.values[1]);
  std::swap(c.tangents[0], c.tangents[1]);
  c.slow = {c.values[1].unsqueeze(0)};
  c.values.resize(1);
  c.tangents.resize(1);
  c.constant_tangents = {0};
  c.engine = [](const Tensors& x, const Tensors& slow) -> Tensors {
    return {ops::fast_linear(slow[0], x[0].select(0, 0), x[0].select(0, 1).detach())};
  };
  c.formula = [](const Tensors& x, const Tensors& slow) -> Tensors { return {slow[0][0].bmm(x[0].transpose(1, 2))}; };
  return c;
}

struct CrossEntropyRow {
  const char* name;
  int64_t tokens, width, vocabulary;
};

Case cross_entropy_case(const CrossEntropyRow& row, int64_t P) {
  Case c = new_case(fmt::format("linear_cross_entropy_{}", row.name), P);
  const int64_t N = row.tokens;
  Inputs in(c);
  in.planed({N, row.width});
  in.slow(in.normal({row.vocabulary, row.width}, 0.3));
  c.values_only = 1;
  const Tensor target_N = (in.normal({N}).abs() * 1000).to(at::kLong).remainder(row.vocabulary);
  const Tensor a_N = in.normal({N}), c_N = in.normal({N});
  for (int64_t i = 1; i < N; i += 3) {  // masked tokens
    a_N[i].zero_();
    c_N[i].zero_();
  }
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const auto like_sums = x[0].options().dtype(ops::accumulate_type(x[0].scalar_type()));
    const auto out = ops::linear_cross_entropy(x[0], slow[0], target_N.to(x[0].device()), a_N.to(like_sums),
                                               P == 2 ? c_N.to(like_sums) : Tensor());
    return {out.objective, out.nll_N};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const Tensor log_p = x[0].matmul(slow[0].t()).log_softmax(-1);
    return {-log_p.gather(1, target_N.unsqueeze(1)).squeeze(1)};
  };
  c.finish = [=](const Tensors& nll, const Tensors& dnll) -> Tensors {
    const Tensor objective = (a_N * nll[0]).sum();
    return {dnll.empty() ? objective : objective - (c_N * dnll[0]).sum(), nll[0]};
  };
  return c;
}

struct AttentionRow {
  const char* name;
  int64_t batch, tokens, past, q_heads, kv_heads, head_dim, window;
};

Tensor plain_attention(const Tensor& q_BTHd, const Tensor& k_BKGd, const Tensor& v_BKGd, int64_t window, double scale) {
  const int64_t T = q_BTHd.size(1), K = k_BKGd.size(1), groups = q_BTHd.size(2) / k_BKGd.size(2);
  const Tensor i = at::arange(K - T, K).unsqueeze(1), j = at::arange(K).unsqueeze(0);
  const Tensor hidden = j.gt(i).logical_or_(j.le(i - window));
  const auto heads = [&](const Tensor& x) { return x.repeat_interleave(groups, 2).transpose(1, 2); };
  const Tensor s = q_BTHd.transpose(1, 2).matmul(heads(k_BKGd).transpose(-1, -2)) * scale;
  return s.masked_fill(hidden, -1e300).softmax(-1).matmul(heads(v_BKGd)).transpose(1, 2);
}

Case attention_case(const AttentionRow& row, int64_t P) {
  Case c = new_case(fmt::format("windowed_attention_{}", row.name), P);
  Inputs in(c);
  in.planed({row.batch, row.tokens, row.q_heads, row.head_dim});
  in.planed({row.batch, row.tokens, row.kv_heads, row.head_dim});
  in.planed({row.batch, row.tokens, row.kv_heads, row.head_dim});
  if (row.past > 0) {
    in.slow(in.normal({row.batch, row.past, row.kv_heads, row.head_dim}));
    in.slow(in.normal({row.batch, row.past, row.kv_heads, row.head_dim}));
  }
  const double scale = 1 / std::sqrt(static_cast<double>(row.head_dim));
  c.engine = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const ops::KvWindow past = slow.empty() ? ops::KvWindow{} : ops::KvWindow{slow[0], slow[1]};
    return {ops::windowed_attention(x[0], x[1], x[2], past, row.window, scale)};
  };
  c.formula = [=](const Tensors& x, const Tensors& slow) -> Tensors {
    const auto with_past = [&](size_t i) { return slow.empty() ? x[i] : at::cat({slow[i - 1], x[i]}, 1); };
    return {plain_attention(x[0], with_past(1), with_past(2), row.window, scale)};
  };
  return c;
}

const RmsNormRow kRmsNormRows[] = {
    {"one_token", {1, 8}, Residual::none},      {"odd", {5, 33}, Residual::none},
    {"residual", {2, 3, 64}, Residual::planed}, {"residual_value_only", {7, 100}, Residual::value_only},
    {"many_rows", {130, 17}, Residual::planed}, {"wide", {3, 2056}, Residual::planed},
};
const HeadsRow kHeadsRows[] = {
    {"interleaved", 2, 3, 4, 4, 16, true, true}, {"halves", 1, 5, 6, 2, 64, false, true},
    {"no_norm", 2, 1, 3, 1, 8, false, false},    {"odd_halves", 1, 7, 2, 1, 12, false, true},
    {"odd_pairs", 2, 67, 2, 2, 10, true, true},  {"wide_heads", 1, 3, 2, 1, 130, true, true},
};
const LinearRow kLinearRows[] = {
    {"one_token", 1, 1, 9, 7, false}, {"bias", 2, 5, 16, 33, true},         {"three_tokens", 1, 3, 70, 40, false},
    {"wide", 2, 40, 64, 48, false},   {"eight_tokens", 1, 8, 65, 18, true},
};
const CrossEntropyRow kCrossEntropyRows[] = {
    {"one_token", 1, 8, 5},
    {"odd", 7, 16, 37},
    {"several_blocks", 150, 24, 1003},
    {"wide", 2, 8, 5000},
};
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
};

}  // namespace

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const int64_t P : {1, 2}) {
    for (const auto& row : kRmsNormRows) cases.push_back(rms_norm_case(row, P));
    cases.push_back(residual_case("planed", {2, 3, 33}, Residual::planed, P));
    cases.push_back(residual_case("value_only", {7, 64}, Residual::value_only, P));
    for (const auto& row : kHeadsRows) cases.push_back(heads_case(row, P));
    cases.push_back(swiglu_case("one_token", {1, 6}, P));
    cases.push_back(swiglu_case("odd", {2, 5, 46}, P));
    cases.push_back(swiglu_case("many_rows", {1, 70, 66}, P));
    cases.push_back(swiglu_case("wide", {3, 4112}, P));
    for (const auto& row : kLinearRows) {
      cases.push_back(linear_case(row, P));
      if (!row.bias) cases.push_back(fast_linear_case(row, P));
      if (!row.bias) cases.push_back(fast_linear_with_wide_weight(row, P));
      if (!row.bias && P == 2) cases.push_back(fast_linear_without_input_tangent(row));
    }
    for (const auto& row : kCrossEntropyRows) cases.push_back(cross_entropy_case(row, P));
    for (const auto& row : kAttentionRows) cases.push_back(attention_case(row, P));
  }
  return cases;
}

}  // namespace ingrain::test
