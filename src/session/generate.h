// Writing: each sampled token is read into the memory, exactly as if it had been given.
#pragma once

#include "tokenizer/tokenizer.h"
#include "ingrain/generate.h"
#include "session/session.h"

namespace ingrain::session {

/// ingrain::generate (ingrain/generate.h) on the parts. REQUIRES: a session of one sequence.
Generated generate(const ModelConfig& config, const tokenizer::Tokenizer& tokenizer, Session& session,
                   std::span<const int32_t> seen, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& on_text);

/// How reading goes on under `learn`, for tokens that were given or that were written.
ttt::ReadOptions reading_options(Learn learn, bool written);

}  // namespace ingrain::session
