// What does not fit is refused at an operation's door, before a kernel reads its memory: c10::Error, whichever backend
// would run. A table per operation: its inputs, which fit, and ways to spoil one of them.
#include "ops/qkv_rope/qkv_rope.h"
#include "ops/checks.h"
#include "ops/gemv/gemv.h"
#include "ops/linear/linear.h"
#include "ops/quantized/quantized.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/linear_cross_entropy/pieces.h"
#include "ops/residual/residual.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/sgd/sgd.h"
#include "ops/swiglu/swiglu.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace ingrain::test {
namespace {

using at::ones;

template <class Inputs>
struct Wrong {
  const char* what;
  void (*spoil)(Inputs& x);
};

/// Inputs: made for a type of activations; run() calls the operation.
template <class Inputs>
void expect_refused(const std::vector<Wrong<Inputs>>& table,
                    std::initializer_list<at::ScalarType> types = {at::kFloat, at::kBFloat16, at::kDouble}) {
  for (const at::ScalarType type : types) {
    SCOPED_TRACE(type);
    EXPECT_NO_THROW(Inputs(type).run());
    for (const auto& [what, spoil] : table) {
      Inputs inputs(type);
      spoil(inputs);
      EXPECT_THROW(inputs.run(), c10::Error) << what;
    }
  }
}

struct NormInputs {
  Tensor x, w, residual;
  explicit NormInputs(at::ScalarType type)
      : x(ones({2, 3, 8}, type)), w(ones({8}, ops::accumulate_type(type))), residual(ones({1, 3, 8}, type)) {}
  void run() const {
    ops::rms_norm(x, w, 1e-6);
    ops::add_rms_norm(residual, x, w, 1e-6);
  }
};
TEST(Refused, norms) {
  expect_refused<NormInputs>({
      {"a scale of another width", [](auto& in) { in.w = ones({7}, in.w.options()); }},
      {"a scale in half precision", [](auto& in) { in.w = in.w.to(at::kHalf); }},
      {"three planes", [](auto& in) { in.x = ones({3, 3, 8}, in.x.options()); }},
      {"a residual of fewer rows", [](auto& in) { in.residual = in.residual.narrow(1, 0, 2); }},
      {"a residual with a tangent, of a value", [](auto& in) { in.residual = in.x, in.x = in.x.narrow(0, 0, 1); }},
      {"a residual of another type", [](auto& in) { in.residual = in.residual.to(at::kHalf); }},
  });
}

struct ResidualInputs {
  Tensor residual, x;
  explicit ResidualInputs(at::ScalarType type) : residual(ones({1, 3, 8}, type)), x(ones({2, 3, 8}, type)) {}
  void run() const { ops::add_residual(residual, x); }
};
TEST(Refused, residuals) {
  expect_refused<ResidualInputs>({
      {"another width", [](auto& in) { in.x = ones({2, 3, 9}, in.x.options()); }},
      {"one row, which would be spread", [](auto& in) { in.residual = in.residual.narrow(1, 0, 1); }},
      {"another type", [](auto& in) { in.residual = in.residual.to(at::kHalf); }},
      {"a tangent, of a value", [](auto& in) { std::swap(in.residual, in.x); }},
  });
}

struct HeadsInputs {
  Tensor qkv, q_norm, k_norm;
  ops::RopeTable rope;
  ops::HeadShape shape{4, 2, 6};
  explicit HeadsInputs(at::ScalarType type) : qkv(ones({1, 2, 3, 48}, type)) {
    const auto wide = ops::accumulate_type(type);
    q_norm = k_norm = ones({6}, wide);
    rope = {ones({3, 3}, wide), ones({3, 3}, wide)};
  }
  void run() const { ops::split_heads(qkv, q_norm, k_norm, rope, shape, 1e-6); }
};
TEST(Refused, heads) {
  expect_refused<HeadsInputs>({
      {"a projection of other heads", [](auto& in) { in.shape.kv_heads = 1; }},
      {"an odd head", [](auto& in) { in.shape = {4, 2, 3}, in.qkv = in.qkv.narrow(3, 0, 24); }},
      {"no batch axis", [](auto& in) { in.qkv = in.qkv[0]; }},
      {"rotations of fewer tokens", [](auto& in) { in.rope.cos_TR = in.rope.cos_TR.narrow(0, 0, 2); }},
      {"rotations of other heads", [](auto& in) { in.rope.sin_TR = ones({3, 6}, in.rope.sin_TR.options()); }},
      {"rotations in half precision", [](auto& in) { in.rope.cos_TR = in.rope.cos_TR.to(at::kHalf); }},
      {"a norm of another width", [](auto& in) { in.k_norm = ones({4}, in.k_norm.options()); }},
      {"one norm", [](auto& in) { in.k_norm = Tensor(); }},
  });
}

struct SwigluInputs {
  Tensor ab;
  explicit SwigluInputs(at::ScalarType type) : ab(ones({2, 3, 8}, type)) {}
  void run() const { ops::swiglu(ab); }
};
TEST(Refused, gates) {
  expect_refused<SwigluInputs>({
      {"an odd width", [](auto& in) { in.ab = in.ab.narrow(2, 0, 7); }},
      {"no planes", [](auto& in) { in.ab = in.ab[0][0]; }},
      {"three planes", [](auto& in) { in.ab = in.ab.transpose(0, 1); }},
  });
}

struct AttentionInputs {
  Tensor q, k, v;
  ops::KvWindow past;
  int64_t window = 4;
  double scale = 0.5;
  explicit AttentionInputs(at::ScalarType type)
      : q(ones({1, 2, 5, 4, 8}, type)),
        k(ones({1, 2, 5, 2, 8}, type)),
        v(k),
        past{ones({2, 3, 2, 8}, type), ones({2, 3, 2, 8}, type)} {}
  void run() const { ops::windowed_attention(q, k, v, past, window, scale); }
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
      {"a window of nothing", [](auto& in) { in.window = 0; }},
      {"a scale that turns scores round", [](auto& in) { in.scale = -1; }},
  });
}

struct LinearInputs {
  Tensor x, w, bias;
  explicit LinearInputs(at::ScalarType type) : x(ones({1, 2, 8}, type)), w(ones({5, 8}, type)), bias(ones({5}, type)) {}
  void run() const { ops::linear(x, w, bias); }
};
TEST(Refused, products) {
  expect_refused<LinearInputs>({
      {"other columns", [](auto& in) { in.w = in.w.narrow(1, 0, 7); }},
      {"a batch of weights", [](auto& in) { in.w = in.w.unsqueeze(0); }},
      {"a bias that would be spread", [](auto& in) { in.bias = in.bias.narrow(0, 0, 1); }},
      {"weights of another type", [](auto& in) { in.w = in.w.to(at::kHalf); }},
  });
}

struct FastInputs {
  Tensor x, w, dw, rounded;
  explicit FastInputs(at::ScalarType type)
      : x(ones({2, 2, 3, 8}, type)), w(ones({2, 5, 8}, ops::accumulate_type(type))), dw(w), rounded(w.to(type)) {}
  void run() const { ops::fast_linear(x, w, dw, rounded); }
};
TEST(Refused, products_with_fast_weights) {
  expect_refused<FastInputs>({
      {"weights of more sequences", [](auto& in) { in.w = in.dw = in.rounded = in.w.repeat({2, 1, 1}); }},
      {"other columns", [](auto& in) { in.w = in.dw = in.rounded = in.w.narrow(2, 0, 7); }},
      {"a tangent of other rows", [](auto& in) { in.dw = in.dw.narrow(1, 0, 4); }},
      {"rounded weights of other rows", [](auto& in) { in.rounded = in.rounded.narrow(1, 0, 4); }},
      {"rounded weights of another type", [](auto& in) { in.rounded = in.rounded.to(at::kHalf); }},
  });
}

struct GemvInputs {
  Tensor a, b;
  explicit GemvInputs(at::ScalarType type) : a(ones({2, 1, 8}, type)), b(ones({2, 5, 8}, type)) {}
  void run() const { ops::gemv_nt(a, b); }
};
TEST(Refused, gemv) {
  expect_refused<GemvInputs>(
      {
          {"other columns", [](auto& in) { in.b = in.b.narrow(2, 0, 7); }},
          {"fewer batch entries", [](auto& in) { in.b = in.b.narrow(0, 0, 1); }},
          {"one matrix for a batch", [](auto& in) { in.b = in.b[0]; }},
          {"many rows", [](auto& in) { in.a = ones({2, 100, 8}, in.a.options()); }},
          {"rows that are columns", [](auto& in) { in.b = ones({2, 8, 5}, in.b.options()).transpose(1, 2); }},
          {"a type without kernels", [](auto& in) { in.a = in.a.to(at::kDouble), in.b = in.b.to(at::kDouble); }},
      },
      {at::kFloat, at::kBFloat16});
}

struct QuantizedInputs {
  Tensor a, quantized;
  explicit QuantizedInputs(at::ScalarType type)
      : a(ones({2, 64}, type)), quantized(ops::quantize(ones({16, 64}), ops::q4_1)) {}
  void run() const {
    ops::quantized_nt(a, quantized);
    ops::dequantize(quantized);
  }
};
TEST(Refused, quantized_products) {
  expect_refused<QuantizedInputs>(
      {
          {"other columns", [](auto& in) { in.a = in.a.narrow(1, 0, 32); }},
          {"a type without kernels", [](auto& in) { in.a = in.a.to(at::kDouble); }},
          {"a batch", [](auto& in) { in.a = in.a.unsqueeze(0); }},
          {"what is not quantized", [](auto& in) { in.quantized = ones({16, 64}); }},
          {"part of a group", [](auto& in) { in.quantized = in.quantized.narrow(0, 0, 8); }},
          {"part of a row", [](auto& in) { in.quantized = in.quantized.narrow(1, 0, 20); }},
          {"part of a block", [](auto& in) { in.quantized = in.quantized.narrow(1, 0, 21).contiguous(); }},
      },
      {at::kFloat, at::kBFloat16});
  EXPECT_THROW(ops::quantize(ones({16, 40}), ops::q4_1), c10::Error) << "part of a block";
  EXPECT_THROW(ops::quantize(ones({24, 32}), ops::q4_1), c10::Error) << "part of a group";
  EXPECT_THROW(ops::quantize(ones({32}), ops::q8_0), c10::Error) << "no matrix";
}

struct LossInputs {
  Tensor x, E, target, a, c, sum;
  explicit LossInputs(at::ScalarType type)
      : x(ones({2, 3, 8}, type)), E(ones({5, 8}, type)), target(at::zeros({3}, at::kLong)) {
    const auto wide = ops::accumulate_type(type);
    a = ones({3}, wide), c = ones({3}, wide), sum = ones({5, 8}, wide);
  }
  void run() const { ops::linear_cross_entropy(x, E, target, a, c, sum); }
};
TEST(Refused, losses) {
  expect_refused<LossInputs>({
      {"a head of other columns", [](auto& in) { in.E = in.sum = in.E.narrow(1, 0, 7); }},
      {"a head of another type", [](auto& in) { in.E = in.E.to(at::kHalf); }},
      {"a head without rows", [](auto& in) { in.E = in.E.narrow(0, 0, 0), in.sum = in.sum.narrow(0, 0, 0); }},
      {"fewer targets", [](auto& in) { in.target = in.target.narrow(0, 0, 2); }},
      {"targets in 32 bits", [](auto& in) { in.target = in.target.to(at::kInt); }},
      {"fewer weights", [](auto& in) { in.a = in.a.narrow(0, 0, 2); }},
      {"tangents without weights", [](auto& in) { in.c = Tensor(); }},
      {"weights in half precision", [](auto& in) { in.c = in.c.to(at::kHalf); }},
      {"a sum for another head", [](auto& in) { in.sum = in.sum.narrow(0, 0, 4); }},
      {"a sum in half precision", [](auto& in) { in.sum = in.sum.to(at::kHalf); }},
  });
  EXPECT_THROW(ops::CrossEntropyInPieces(ones({3, 8}), at::zeros({2}, at::kLong)), c10::Error) << "fewer targets";
}

struct SgdInputs {
  std::vector<Tensor> w, g, rounded;
  Tensor eta;
  explicit SgdInputs(at::ScalarType type) : w{ones({2, 3, 4}, type), ones({2, 5}, type)}, g(w), eta(ones({2}, type)) {
    for (const Tensor& x : w) rounded.push_back(x.to(at::kBFloat16));
  }
  void run() const { ops::clipped_sgd(w, g, eta, 1, w, rounded); }
};
TEST(Refused, inner_steps) {
  expect_refused<SgdInputs>(
      {
          {"fewer gradients", [](auto& in) { in.g.pop_back(); }},
          {"fewer rates", [](auto& in) { in.eta = in.eta.narrow(0, 0, 1); }},
          {"no tensors", [](auto& in) { in.w = in.g = in.rounded = {}, in.eta = in.eta.narrow(0, 0, 0); }},
          {"a gradient of another shape", [](auto& in) { in.g[1] = in.g[1].narrow(1, 0, 4); }},
          {"a gradient of another type", [](auto& in) { in.g[0] = in.g[0].to(at::kHalf); }},
          {"another number of sequences",
           [](auto& in) { in.w[1] = in.g[1] = in.w[1].narrow(0, 0, 1), in.rounded = {}; }},
          {"weights that are not contiguous",
           [](auto& in) { in.w[1] = ones({5, 2}, in.w[1].options()).t(), in.rounded = {}; }},
          {"weights in half precision",
           [](auto& in) {
             for (auto* all : {&in.w, &in.g})
               for (Tensor& x : *all) x = x.to(at::kHalf);
           }},
          {"rounded weights of another shape",
           [](auto& in) { in.rounded[0] = in.rounded[0].narrow(1, 0, 2).contiguous(); }},
          {"rounded weights that are not", [](auto& in) { in.rounded[0] = in.w[0]; }},
      },
      {at::kFloat, at::kDouble});
}

}  // namespace
}  // namespace ingrain::test
