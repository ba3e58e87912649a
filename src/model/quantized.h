// Slow weights in few bits, for decoding.
#pragma once

#include "model/kept_as.h"
#include "model/network.h"

namespace ingrain {

/// Rounds every slow matrix of `model` to `format` (ops/quantized/quantized.h); there is no other copy of it. The head,
/// which tells tokens apart, is Q8_0 at least, a tied embedding with it, and so is what has no whole groups of rows.
/// Norms, biases, an embedding that is looked up only, and fast weights stay as they are; so do matrices whose rows are
/// no multiple of 32. model.weights are new tensors. CPU, fp32 or bf16.
void quantize_slow_weights(Network& model, const ops::QuantizedFormat& format);
/// Which matrices these are.
KeptAs rounded_to(const ModelConfig& config, const ops::QuantizedFormat& format);
/// Error naming `form` unless such weights can be quantized.
void require_quantizable(at::ScalarType compute, at::Device device, std::string_view form);

/// What LoadOptions::weights may be: "native", as the file has them, in its own blocks where it is quantized (CPU, fp32
/// and bf16); "expanded", all in the compute type; and the names of the formats.
std::vector<std::string> weight_forms();
/// The format of that name; nullptr for "native" and "expanded". OptionError of "weights" for anything else.
const ops::QuantizedFormat* quantized_form(std::string_view form);
/// quantize_slow_weights() by name.
void choose_weights(Network& model, std::string_view form);

}  // namespace ingrain
