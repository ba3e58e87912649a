// One text being written: draws its tokens, tells what can be given out from what may begin a stop string, and knows
// when it ends. Reads nothing: whoever has it reads each token into the memory.
#pragma once

#include "ingrain/generate.h"
#include "model/config.h"
#include "session/sampler.h"
#include "tokenizer/tokenizer.h"

#include <deque>
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
  /// Of the tokens that were taken, the first so many are whole in the text given out. After a stop string: those
  /// before it; one that it begins within is not among them.
  size_t given() const { return given_; }
  /// What was taken may end with the beginning of a stop string. No later token than the one with which this becomes
  /// true is one that a stop string begins within.
  bool may_stop() const;

 private:
  const ModelConfig& config_;
  Sampler sampler_;
  tokenizer::Tokenizer tokenizer_;
  tokenizer::StreamDecoder characters_;
  StopStrings stops_;
  bool stops_beyond_ascii_;
  int64_t max_tokens_;
  std::vector<int32_t> tokens_;
  struct End {
    size_t tokens, bytes;  // so many tokens say so many bytes
  };
  std::deque<End> ends_;  // of tokens that are not given out yet
  size_t given_ = 0, bytes_given_ = 0, bytes_said_ = 0;
  std::string begun_;  // of a character that the next token goes on with
  std::optional<StopReason> reason_;
};

}  // namespace ingrain::session
