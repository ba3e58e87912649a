// A random model wide enough for the kernels and their blocks.
#pragma once

#include "model/quantized.h"
#include "ops/quantized/quantized.h"
#include "tiny_model.h"

namespace ingrain::test {

inline Network wide_model(at::ScalarType type, const ops::QuantizedFormat* format = nullptr, int64_t step_delay = 0) {
  ModelConfig c = tiny_config({.inner = {.step_delay = step_delay}});
  c.vocab_size = 48;
  c.hidden_size = c.mlp_size = 64;
  c.num_heads = 4;
  c.head_dim = 16;
  c.init_std = 0.1;
  Network model{c, convert(c, initial_weights(c, 5), type), "wide"};
  if (format) quantize_slow_weights(model, *format);
  return model;
}

}  // namespace ingrain::test
