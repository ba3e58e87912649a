#include "store/retrofit.h"

#include "base/error.h"
#include "base/option_error.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace ingrain {

ModelConfig retrofit_config(const ModelConfig& base, const RetrofitOptions& o, std::string_view where) {
  require(base.suffix_len == 0, "{}: has fast MLPs in its last {} blocks already; retrofit a model that has none",
          where, base.suffix_len);
  const auto at_least_one = [](const char* option, int64_t value) {
    if (value < 1) fail_option(option, "is {}; it must be at least 1", value);
  };
  ModelConfig c = base;
  c.suffix_len = o.suffix.value_or(std::max<int64_t>(1, base.num_layers / 4));
  c.fast_mlp_size = o.fast_mlp.value_or(std::max<int64_t>(1, base.mlp_size / 3));
  at_least_one("window", o.window);
  at_least_one("chunk", o.chunk);
  at_least_one("suffix", c.suffix_len);
  at_least_one("fast_mlp", c.fast_mlp_size);
  if (o.start == FastStart::copied && c.fast_mlp_size > base.mlp_size)
    fail_option("fast_mlp", "is {}; the MLPs of {} that it copies from are {} wide; choose less, or start at random",
                c.fast_mlp_size, where, base.mlp_size);
  if (c.suffix_len > base.num_layers)
    fail_option("suffix", "is {}; {} has {} blocks", c.suffix_len, where, base.num_layers);
  if (o.window > base.widest_window())
    fail_option("window", "is {}; {} was made for a window of {}", o.window, where, base.widest_window());
  if (!(o.inner_lr > 0) || !std::isfinite(o.inner_lr))
    fail_option("inner_lr", "is {}; it must be positive", o.inner_lr);
  c.change_layers([&](LayerSpec& layer) { layer.window = std::min(layer.window, o.window); });
  c.join_layers();
  c.chunk = o.chunk;
  c.inner_lr = o.inner_lr;
  c.fast_post_norm = false;
  c.learned_inner_rates = true;
  validate(c, where);
  return c;
}

Weights retrofit_weights(const Network& base, const ModelConfig& c, const RetrofitOptions& o) {
  const int64_t D = c.hidden_size, F = c.fast_mlp_size;
  Weights out = convert(base.config, base.weights, at::kFloat);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(o.seed);
  for (int64_t i = c.prefix_len(); i < c.num_layers; ++i) {
    BlockWeights& block = out.blocks[static_cast<size_t>(i)];
    Tensor w13_FD;
    if (o.start == FastStart::copied) {
      w13_FD = block.mlp.w13_FD.view({2, c.mlp_size, D}).narrow(1, 0, F).reshape({2 * F, D}).clone();
      block.fast_norm_D = block.mlp_norm_D.clone();
    } else {
      w13_FD = at::empty({2 * F, D}).normal_(0, 1 / std::sqrt(static_cast<double>(D)), generator);
      block.fast_norm_D = at::ones({D});
    }
    out.fast_S.push_back({w13_FD, at::zeros({D, F})});
  }
  out.inner_rate_S = at::ones({c.suffix_len});
  return out;
}

}  // namespace ingrain
