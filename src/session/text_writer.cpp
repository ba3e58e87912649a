#include "session/text_writer.h"

#include "base/error.h"

#include <algorithm>
#include <bit>

namespace ingrain::session {

namespace {

/// The sampler would leave out in silence what is not finite.
void require_finite_logits(std::span<const float> logits) {
  uint32_t broken = 0;  // by bits: a loop of whole numbers runs many at once
  for (const float x : logits)
    broken |= static_cast<uint32_t>((std::bit_cast<uint32_t>(x) & 0x7f800000u) == 0x7f800000u);
  require(
      broken == 0,
      "the model's output is not finite, so nothing can be written; compute in fp32, or begin from an earlier memory");
}

}  // namespace

bool ends_text(const ModelConfig& config, int32_t token) {
  return std::find(config.eos_ids.begin(), config.eos_ids.end(), token) != config.eos_ids.end();
}

TextWriter::TextWriter(const ModelConfig& config, tokenizer::Tokenizer tokenizer, const GenerateOptions& options,
                       std::span<const int32_t> seen)
    : config_(config),
      sampler_(options.sampling),
      characters_(std::move(tokenizer), /*skip_special=*/true, /*begins=*/false),
      stops_(options.stop),
      max_tokens_(options.max_tokens) {
  for (const int32_t token : seen) sampler_.accept(token);
  if (max_tokens_ <= 0) reason_ = StopReason::max_tokens;
}

int32_t TextWriter::draw(std::span<const float> logits, std::span<const uint64_t> allowed) {
  require_finite_logits(logits);
  const int32_t token = sampler_.sample(logits, allowed);
  sampler_.accept(token);
  tokens_.push_back(token);
  return token;
}

std::string TextWriter::take(int32_t token) {
  if (ends_text(config_, token)) {
    reason_ = StopReason::end_of_text;
    return {};
  }
  std::string text = stops_.push(characters_.push(token));
  if (stops_.stopped())
    reason_ = StopReason::stop_string;
  else if (static_cast<int64_t>(tokens_.size()) >= max_tokens_)
    reason_ = StopReason::max_tokens;
  return text;
}

std::string TextWriter::finish() {
  if (stops_.stopped()) return {};
  std::string text = stops_.push(characters_.finish());
  return text + stops_.finish();
}

}  // namespace ingrain::session
