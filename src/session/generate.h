// Writing: each sampled token is read into the memory, exactly as if it had been given.
#pragma once

#include "tokenizer/tokenizer.h"
#include "ingrain/generate.h"
#include "session/checkpoints.h"

namespace ingrain::ttt {

/// ingrain::generate (ingrain/generate.h) on the parts: `boundaries` keeps those that are passed. REQUIRES: memory of
/// one sequence.
Generated generate(const Network& model, const tokenizer::Tokenizer& tokenizer, Memory& memory, BoundaryRing& boundaries,
                   std::span<const int32_t> seen, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& on_text);

/// How reading goes on under `learn`, for tokens that were given or that were written.
ReadOptions reading_options(Learn learn, bool written);

}  // namespace ingrain::ttt
