#include "session/generate.h"

#include "model/device.h"
#include "session/text_writer.h"

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
  TextWriter writer(config, tokenizer, options, seen);
  Generated out;
  const auto give = [&](const std::string& text) {
    if (text.empty()) return;
    out.text += text;
    if (on_text) on_text(text);
  };
  const Tensor logits_V = room_for_download(session.logits_BV()[0]);
  while (!writer.done()) {
    if (options.keep_going && !options.keep_going()) {
      writer.end(StopReason::interrupted);
      break;
    }
    logits_V.copy_(session.logits_BV()[0]);
    const int32_t token = writer.draw({logits_V.const_data_ptr<float>(), static_cast<size_t>(logits_V.numel())});
    session.write(ttt::as_batch({&token, 1}), reading);
    give(writer.take(token));
  }
  give(writer.finish());
  out.tokens = writer.tokens();
  out.reason = writer.reason();
  return out;
}

}  // namespace ingrain::session
