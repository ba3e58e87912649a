#include "session/generate.h"

#include "base/error.h"
#include "model/device.h"
#include "session/sampler.h"

#include <algorithm>
#include <bit>

namespace ingrain::session {

namespace {

/// No token can be drawn from what is not a number; the sampler would leave such out in silence.
void require_finite_logits(const Tensor& logits_V) {
  const float* x = logits_V.const_data_ptr<float>();
  uint32_t broken = 0;  // by bits: a loop of whole numbers runs many at once
  for (int64_t i = 0; i < logits_V.numel(); ++i)
    broken |= static_cast<uint32_t>((std::bit_cast<uint32_t>(x[i]) & 0x7f800000u) == 0x7f800000u);
  require(
      broken == 0,
      "the model's output is not finite, so nothing can be written; compute in fp32, or begin from an earlier memory");
}

}  // namespace

ttt::ReadOptions reading_options(Learn learn, bool written) {
  ttt::ReadOptions out;
  out.learn = learn != Learn::off;
  out.learn_these = learn == Learn::all || !written;
  return out;
}

Generated generate(const ModelConfig& config, const tokenizer::Tokenizer& tokenizer, Session& session,
                   std::span<const int32_t> seen, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& on_text) {
  ttt::ReadOptions reading = reading_options(options.learn, /*written=*/true);
  reading.score = false;  // the logits were wanted once already
  Sampler sampler(options.sampling);
  for (const int32_t token : seen) sampler.accept(token);
  tokenizer::StreamDecoder characters(tokenizer, /*skip_special=*/true);
  StopStrings stops(options.stop);
  Generated out;
  const auto give = [&](const std::string& text) {
    if (text.empty()) return;
    out.text += text;
    if (on_text) on_text(text);
  };
  const auto& ends = config.eos_ids;
  const Tensor logits_V = room_for_download(session.logits_BV()[0]);
  const auto write = [&] {
    while (static_cast<int64_t>(out.tokens.size()) < options.max_tokens) {
      if (options.keep_going && !options.keep_going()) {
        out.reason = StopReason::interrupted;
        break;
      }
      logits_V.copy_(session.logits_BV()[0]);
      require_finite_logits(logits_V);
      const int32_t token = sampler.sample({logits_V.const_data_ptr<float>(), static_cast<size_t>(logits_V.numel())});
      sampler.accept(token);
      out.tokens.push_back(token);
      session.write(ttt::as_batch({&token, 1}), reading);
      if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
        out.reason = StopReason::end_of_text;
        break;
      }
      give(stops.push(characters.push(token)));
      if (stops.stopped()) {
        out.reason = StopReason::stop_string;
        return;
      }
    }
  };
  write();
  if (out.reason == StopReason::stop_string) return out;
  give(stops.push(characters.finish()));
  give(stops.finish());
  return out;
}

}  // namespace ingrain::session
