#include "study/mqar.h"

#include "base/interrupt.h"
#include "model/network.h"
#include "train/adamw.h"
#include "train/schedule.h"
#include "ttt/outer_gradient.h"
#include "ttt/read.h"

namespace ingrain::study {
namespace {

/// The rival's last layers, for MQAR's vocabulary.
ModelConfig config_for(const ModelConfig& rival, const MqarTraining& o) {
  ModelConfig c = rival;
  const int64_t dropped = std::max<int64_t>(0, c.num_layers - std::max(o.layers, c.suffix_len));
  if (!c.layers.empty()) c.layers.erase(c.layers.begin(), c.layers.begin() + dropped);
  c.num_layers -= dropped;
  c.vocab_size = o.task.vocab;
  c.bos_id = 0;  // what fills is no target
  c.eos_ids.clear();
  c.trained_length = o.task.length;
  c.join_layers();
  validate(c, "the model that learns MQAR");
  return c;
}

struct Batch {
  Tensor tokens_BT1;
  std::vector<tasks::MqarExample> examples;
};

Batch draw(const MqarTraining& o, int64_t size, data::SplitMix64& random) {
  Batch out{at::empty({size, o.task.length + 1}, at::kLong), {}};
  auto tokens = out.tokens_BT1.accessor<int64_t, 2>();
  for (int64_t b = 0; b < size; ++b) {
    out.examples.push_back(tasks::make_mqar(o.task, random));
    for (int64_t t = 0; t <= o.task.length; ++t) tokens[b][t] = out.examples.back().tokens[static_cast<size_t>(t)];
  }
  return out;
}

/// Reads up to each query and looks at what is likeliest next.
int64_t count_right(const Network& model, const Batch& batch, bool learn) {
  const int64_t B = batch.tokens_BT1.size(0);
  ttt::Memory memory = ttt::empty_memory(model, B);
  ttt::ReadOptions reading;
  reading.learn = learn;
  std::vector<size_t> next(batch.examples.size(), 0);
  int64_t right = 0;
  for (int64_t t = 0; t + 1 < batch.tokens_BT1.size(1); ++t) {
    ttt::read(model, memory, batch.tokens_BT1.narrow(1, t, 1), reading);
    const auto asked = [&](size_t b) {
      const auto& all = batch.examples[b].asked;
      return next[b] < all.size() && all[next[b]] == t;
    };
    bool any = false;
    for (size_t b = 0; b < next.size(); ++b) any = any || asked(b);
    if (!any) continue;
    const Tensor said_B = ttt::next_logits(model, memory).argmax(-1).cpu();
    for (size_t b = 0; b < next.size(); ++b) {
      if (!asked(b)) continue;
      ++next[b];
      right += said_B[static_cast<int64_t>(b)].item<int64_t>() == batch.examples[b].tokens[static_cast<size_t>(t) + 1];
    }
  }
  return right;
}

}  // namespace

MqarResult learn_mqar(const train::RunConfig& rival, const MqarTraining& o) {
  const ModelConfig c = config_for(rival.model.config, o);
  const Weights weights = convert(c, initial_weights(c, o.seed), at::kFloat, at::kCPU);
  const GradientSums gradients(c, weights, [](const std::string&) { return true; });
  train::AdamW optimizer(c, weights, gradients, rival.train.adamw);
  const train::Schedule rate{.initial = 0, .peak = o.lr, .end = 1e-5, .warmup = o.steps / 10, .steps = o.steps};
  const bool meta = rival.train.mode == train::Mode::meta;
  const train::InnerRateWarmup inner{0.1 * c.inner_lr, c.inner_lr, o.steps / 10};
  data::SplitMix64 random(o.seed);
  MqarResult out;
  for (int64_t step = 0; step < o.steps; ++step) {
    stop_if_interrupted("stopped; run it again to go on");
    ttt::GradientOptions options;
    options.rate_multiplier = inner.multiplier(step);
    options.recompute = ttt::Recompute::never;
    gradients.flat().zero_();
    const Tensor tokens_BT1 = draw(o, o.batch, random).tokens_BT1;
    out.loss = (meta ? ttt::meta_gradient : ttt::standard_gradient)(c, gradients, tokens_BT1, options).mean();
    optimizer.step(rate.at(step), optimizer.gradient_norm().item<double>());
  }
  const at::NoGradGuard no_grad;
  const Batch held_out = draw(o, o.examples, random);
  for (const auto& example : held_out.examples) out.queries += static_cast<int64_t>(example.asked.size());
  const int64_t right = count_right({c, weights, ""}, held_out, c.suffix_len > 0);
  out.accuracy = static_cast<double>(right) / static_cast<double>(out.queries);
  return out;
}

}  // namespace ingrain::study
