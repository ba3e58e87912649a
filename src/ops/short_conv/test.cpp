// The short convolution: its formula token by token, any split, and what is refused.
#include "max_difference.h"
#include "ops_refusals.h"

#include "ops/short_conv/short_conv.h"

namespace ingrain::test {
namespace {

TEST(ShortConv, is_its_formula_token_by_token) {
  at::manual_seed(11);
  const Tensor x = at::randn({2, 7, 3}, at::kDouble), w = at::randn({3, 4}, at::kDouble),
               bias = at::randn({3}, at::kDouble), tail = at::randn({2, 3, 3}, at::kDouble);
  const Tensor all = at::cat({tail, x}, 1), y = ops::short_conv(x, w, tail, bias).y_BTC;
  for (int64_t t = 0; t < 7; ++t) {
    Tensor sum = bias.clone();
    for (int64_t j = 0; j < 4; ++j) sum = sum + w.select(1, j) * all.select(1, t + j);
    EXPECT_LT(max_difference(y.select(1, t), at::silu(sum)), 1e-14) << "token " << t;
  }
}

TEST(ShortConv, any_split_of_the_tokens_gives_the_same) {
  at::manual_seed(12);
  const Tensor x = at::randn({1, 9, 2}, at::kDouble), w = at::randn({2, 4}, at::kDouble);
  const ops::ShortConv whole = ops::short_conv(x, w, {});
  Tensor tail;
  int64_t first = 0;
  for (const int64_t count : {1, 2, 5, 1}) {  // parts shorter than the tail, too
    const ops::ShortConv part = ops::short_conv(x.narrow(1, first, count), w, tail);
    EXPECT_LT(max_difference(part.y_BTC, whole.y_BTC.narrow(1, first, count)), 1e-14);
    tail = part.tail_BnC;
    first += count;
  }
  EXPECT_EQ(max_difference(tail, whole.tail_BnC), 0);
}

struct ShortConvInputs {
  Tensor x, w, tail, bias;
  explicit ShortConvInputs(at::ScalarType type)
      : x(at::ones({2, 5, 3}, type)),
        w(at::ones({3, 4}, type)),
        tail(at::ones({2, 3, 3}, type)),
        bias(at::ones({3}, type)) {}
  void run() const { ops::short_conv(x, w, tail, bias); }
};
TEST(Refused, short_convolutions) {
  expect_refused<ShortConvInputs>({
      {"rows without a batch", [](auto& in) { in.x = in.x[0]; }},
      {"weights of fewer channels", [](auto& in) { in.w = in.w.narrow(0, 0, 2); }},
      {"weights of no tokens", [](auto& in) { in.w = in.w.narrow(1, 0, 0); }},
      {"weights of another type", [](auto& in) { in.w = in.w.to(at::kHalf); }},
      {"a shorter past", [](auto& in) { in.tail = in.tail.narrow(1, 0, 2); }},
      {"a past of another type", [](auto& in) { in.tail = in.tail.to(at::kHalf); }},
      {"a bias of fewer channels", [](auto& in) { in.bias = in.bias.narrow(0, 0, 2); }},
  });
}

}  // namespace
}  // namespace ingrain::test
