// Slow weights in few bits, for decoding.
#pragma once

#include "model/network.h"
#include "ops/quantized/quantized.h"

namespace ingrain {

/// Rounds every slow matrix of `model` to `format` (ops/quantized/quantized.h), and keeps the rounded matrices twice:
/// in model.weights in the compute type, for long passes and inner steps, and quantized in model.quantized, for passes
/// over few tokens. One model, whichever form computes, up to the rounding of activations to 16 bits. model.weights
/// change in place, in whatever shares their memory, too. The head, which tells tokens apart, is Q8_0 at least, and so
/// is what has no whole groups of rows. Norms, biases and fast weights stay as they are; so do matrices whose rows are
/// no multiple of 32. CPU, fp32 or bf16.
void quantize_slow_weights(Network& model, const ops::QuantizedFormat& format);

/// What LoadOptions::weights may be: "native", which leaves the model as it is, and the names of the formats.
std::vector<std::string> weight_forms();
/// The format of that name; nullptr for "native". OptionError of "weights" for anything else.
const ops::QuantizedFormat* quantized_form(std::string_view form);
/// quantize_slow_weights() by name.
void choose_weights(Network& model, std::string_view form);

}  // namespace ingrain
