#include "session/text_writer.h"

#include "base/error.h"
#include "base/utf8.h"

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

/// What a text ends with of a character that it does not finish.
std::string begun_character(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (step.kind == Utf8::truncated) return text.substr(at);
    at += step.length;
  }
  return {};
}

bool begins_beyond_ascii(const std::string& text) { return !text.empty() && static_cast<uint8_t>(text[0]) >= 0x80; }

}  // namespace

bool ends_text(const ModelConfig& config, int32_t token) {
  return std::find(config.eos_ids.begin(), config.eos_ids.end(), token) != config.eos_ids.end();
}

TextWriter::TextWriter(const ModelConfig& config, tokenizer::Tokenizer tokenizer, const GenerateOptions& options,
                       std::span<const int32_t> seen)
    : config_(config),
      sampler_(options.sampling),
      tokenizer_(std::move(tokenizer)),
      characters_(tokenizer_, /*skip_special=*/true, /*begins=*/false),
      stops_(options.stop),
      stops_beyond_ascii_(std::any_of(options.stop.begin(), options.stop.end(), begins_beyond_ascii)),
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
  const std::string said = characters_.push(token);
  std::string text = stops_.push(said);
  bytes_said_ += said.size();
  bytes_given_ += text.size();
  if (!tokenizer_.is_special(token)) begun_ = begun_character(begun_ + std::string(tokenizer_.id_to_bytes(token)));
  ends_.push_back({tokens_.size(), bytes_said_ + begun_.size()});
  for (; !ends_.empty() && ends_.front().bytes <= bytes_given_; ends_.pop_front()) given_ = ends_.front().tokens;
  if (stops_.stopped())
    reason_ = StopReason::stop_string;
  else if (static_cast<int64_t>(tokens_.size()) >= max_tokens_)
    reason_ = StopReason::max_tokens;
  return text;
}

bool TextWriter::may_stop() const { return bytes_said_ > bytes_given_ || (!begun_.empty() && stops_beyond_ascii_); }

std::string TextWriter::finish() {
  if (stops_.stopped()) return {};
  std::string text = stops_.push(characters_.finish());
  return text + stops_.finish();
}

}  // namespace ingrain::session
