// What Hugging Face's and GGUF's files say of a decoder, as our configuration.
#pragma once

#include "families/hf_config.h"
#include "model/config.h"

namespace ingrain {

/// The configuration of a model without fast weights: attention and MLPs as `d` has them, suffix_len 0. Error naming
/// `source` and what is not supported: biases on the attention's output or in the MLPs, dynamic RoPE scaling,
/// frequency divisors that are not Llama 3's.
ModelConfig decoder_config(const formats::DecoderDescription& d, std::string_view source);

}  // namespace ingrain
