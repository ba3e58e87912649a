// One text being written: draws its tokens, tells what can be given out from what may begin a stop string, and knows
// when it ends. Reads nothing: whoever has it reads each token into the memory.
#pragma once

#include "ingrain/generate.h"
#include "model/config.h"
#include "session/sampler.h"
#include "tokenizer/tokenizer.h"

#include <optional>

namespace ingrain::session {

/// Whether it is one of the model's end-of-text tokens.
bool ends_text(const ModelConfig& config, int32_t token);

/// For each token: draw(), read it, take(); or take() first, for who does not read what ends the text. One thread at a
/// time.
class TextWriter {
 public:
  /// `seen`: tokens that count for the penalties from the start. `config` must outlive it. UsageError for sampling
  /// options out of range.
  TextWriter(const ModelConfig& config, tokenizer::Tokenizer tokenizer, const GenerateOptions& options,
             std::span<const int32_t> seen = {});

  bool done() const { return reason_.has_value(); }
  StopReason reason() const { return reason_.value_or(StopReason::interrupted); }
  /// It ends where it is.
  void end(StopReason reason) { reason_ = reason; }

  /// The next token. `logits`: one a token of the vocabulary, as the model computes them. Error if they are not finite:
  /// no token can be drawn from what is not a number. `allowed`, if not empty: a bit for every token that may be drawn.
  /// REQUIRES: !done().
  int32_t draw(std::span<const float> logits, std::span<const uint64_t> allowed = {});
  /// The text that can be given out with this token.
  std::string take(int32_t token);
  /// What still waited, once done.
  std::string finish();

  const std::vector<int32_t>& tokens() const { return tokens_; }  // drawn, an end-of-text token included

 private:
  const ModelConfig& config_;
  Sampler sampler_;
  tokenizer::StreamDecoder characters_;
  StopStrings stops_;
  int64_t max_tokens_;
  std::vector<int32_t> tokens_;
  std::optional<StopReason> reason_;
};

}  // namespace ingrain::session
