// What score() does, of tokens whose model is told by parts.
#pragma once

#include "ingrain/score.h"
#include "tokenizer/tokenizer.h"

namespace ingrain {

/// `tokenizer`, if known, tells the bytes behind tokens.
Score summarize(std::vector<float> nll, std::span<const int32_t> tokens, int64_t unscored, int64_t bos_id,
                const tokenizer::Tokenizer* tokenizer);

}  // namespace ingrain
