// Writing: each sampled token is read into the memory, exactly as if it had been given.
#pragma once

#include "tokenizer/tokenizer.h"
#include "ingrain/generate.h"
#include "session/session.h"
#include "session/text_writer.h"

namespace ingrain::session {

/// A text in the making: ingrain::Writing (ingrain/writing.h) on the parts, which must outlive it. REQUIRES: a session
/// of one sequence.
class Pieces {
 public:
  Pieces(const ModelConfig& config, const tokenizer::Tokenizer& tokenizer, Session& session,
         std::span<const int32_t> seen, const GenerateOptions& options);

  /// More text; nothing once it has ended.
  std::optional<std::string> next();
  Generated written() const { return {writer_.tokens(), text_, writer_.reason()}; }

 private:
  Session& session_;
  const GenerateOptions& options_;
  const ttt::ReadOptions reading_;
  TextWriter writer_;
  Tensor logits_V_;  // on the CPU
  std::string text_;
  bool finished_ = false;
};

/// How reading goes on under `learn`, for tokens that were given or that were written.
ttt::ReadOptions reading_options(Learn learn, bool written);

}  // namespace ingrain::session
