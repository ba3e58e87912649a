// What is measured: a model (trained, or random weights of a given shape) and an endless text.
#pragma once

#include "model/network.h"

#include <string>
#include <vector>

namespace ingrain::bench {

struct Subject {
  Network model;
  std::vector<int32_t> tokens;  // the text's, or random ones; repeated where more are needed

  at::Device device() const { return model.weights.device(); }
  /// Tokens [first, first + count) of the endless text, [1, count] int64, on the CPU: where tokens come from.
  Tensor slice(int64_t first, int64_t count) const;
};

/// `model`: a model; a config.json or the name of a preset gives random weights of that shape.
/// `weights`: their form (model/quantized.h).
/// `text`: a file for the model's tokenizer; empty: random tokens. Error if there is a text and no tokenizer for it.
Subject load_subject(const std::string& model, const std::string& text, at::ScalarType compute, at::Device device,
                     std::string_view weights);

}  // namespace ingrain::bench
