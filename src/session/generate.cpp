#include "session/generate.h"

#include "model/device.h"
#include "session/sampler.h"

#include <algorithm>

namespace ingrain::session {

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
  std::vector<int32_t> stop_ids;  // a special token is given out as no text that a string could match
  for (const std::string& stop : options.stop)
    if (const auto id = tokenizer.token_to_id(stop); id && tokenizer.is_special(*id)) stop_ids.push_back(*id);
  const Tensor logits_V = room_for_download(session.logits_BV()[0]);
  const auto write = [&] {
    while (static_cast<int64_t>(out.tokens.size()) < options.max_tokens) {
      if (options.keep_going && !options.keep_going()) {
        out.reason = StopReason::interrupted;
        break;
      }
      logits_V.copy_(session.logits_BV()[0]);
      const int32_t token = sampler.sample({logits_V.const_data_ptr<float>(), static_cast<size_t>(logits_V.numel())});
      sampler.accept(token);
      out.tokens.push_back(token);
      session.write(ttt::as_batch({&token, 1}), reading);
      if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
        out.reason = StopReason::end_of_text;
        break;
      }
      if (std::find(stop_ids.begin(), stop_ids.end(), token) != stop_ids.end()) {
        give(stops.push(characters.finish()));
        give(stops.finish());
        out.reason = StopReason::stop_string;
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
