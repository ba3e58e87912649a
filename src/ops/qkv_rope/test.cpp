// Heads: cases of the table of operations, and what is refused.
#include "ops_refusals.h"
#include "ops_table.h"

#include "ops/checks.h"
#include "ops/qkv_rope/qkv_rope.h"

#include <fmt/format.h>

namespace ingrain::test {
namespace {

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

const HeadsRow kHeadsRows[] = {
    {"interleaved", 2, 3, 4, 4, 16, true, true}, {"halves", 1, 5, 6, 2, 64, false, true},
    {"no_norm", 2, 1, 3, 1, 8, false, false},    {"odd_halves", 1, 7, 2, 1, 12, false, true},
    {"odd_pairs", 2, 67, 2, 2, 10, true, true},  {"wide_heads", 1, 3, 2, 1, 130, true, true},
};

struct HeadsInputs {
  Tensor qkv, q_norm, k_norm;
  ops::RopeTable rope;
  ops::HeadShape shape{4, 2, 6};
  explicit HeadsInputs(at::ScalarType type) : qkv(at::ones({1, 2, 3, 48}, type)) {
    const auto wide = ops::accumulate_type(type);
    q_norm = k_norm = at::ones({6}, wide);
    rope = {at::ones({3, 3}, wide), at::ones({3, 3}, wide)};
  }
  void run() const { ops::split_heads(qkv, q_norm, k_norm, rope, shape, 1e-6); }
};
TEST(Refused, heads) {
  expect_refused<HeadsInputs>({
      {"a projection of other heads", [](auto& in) { in.shape.kv_heads = 1; }},
      {"an odd head", [](auto& in) { in.shape = {4, 2, 3}, in.qkv = in.qkv.narrow(3, 0, 24); }},
      {"no batch axis", [](auto& in) { in.qkv = in.qkv[0]; }},
      {"rotations of fewer tokens", [](auto& in) { in.rope.cos_TR = in.rope.cos_TR.narrow(0, 0, 2); }},
      {"rotations of other heads", [](auto& in) { in.rope.sin_TR = at::ones({3, 6}, in.rope.sin_TR.options()); }},
      {"rotations in half precision", [](auto& in) { in.rope.cos_TR = in.rope.cos_TR.to(at::kHalf); }},
      {"a norm of another width", [](auto& in) { in.k_norm = at::ones({4}, in.k_norm.options()); }},
      {"one norm", [](auto& in) { in.k_norm = Tensor(); }},
  });
}

}  // namespace

std::vector<Case> qkv_rope_cases(int64_t P) {
  std::vector<Case> cases;
  for (const auto& row : kHeadsRows) cases.push_back(heads_case(row, P));
  return cases;
}

}  // namespace ingrain::test
