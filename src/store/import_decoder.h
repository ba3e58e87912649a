// A model of another program as one of our folders.
#pragma once

#include "store/pretrained.h"

#include <functional>
#include <optional>

namespace ingrain {

/// Writes the model that lies at `path` (opened as `source`) into `folder`: config.json, model.safetensors with all
/// tensors in type `store` (the source's own if not given), and what of these it has: tokenizer.json,
/// tokenizer_config.json, chat_template.jinja. Holds the whole model in memory, in that type. A GGUF file in less than
/// 32 bits a weight, for which no type is given, is kept as it is (model.gguf): quantized weights stay small, and
/// exact. `on_progress`: how many of parameter_count(config()) weights are done. Error as assemble_weights(), or
/// naming the file that cannot be written.
void import_decoder(const DecoderSource& source, const std::filesystem::path& path, const std::filesystem::path& folder,
                    std::optional<at::ScalarType> store = std::nullopt,
                    const std::function<void(int64_t done)>& on_progress = {});

}  // namespace ingrain
