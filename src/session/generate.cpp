#include "session/generate.h"

#include "model/device.h"

namespace ingrain::session {

ttt::ReadOptions reading_options(Learn learn, bool written) {
  ttt::ReadOptions out;
  out.learn = learn != Learn::off;
  out.learn_these = learn == Learn::all || !written;
  return out;
}

namespace {

ttt::ReadOptions writing_options(Learn learn) {
  ttt::ReadOptions out = reading_options(learn, /*written=*/true);
  out.score = false;  // the logits were wanted once already
  return out;
}

}  // namespace

Pieces::Pieces(const ModelConfig& config, const tokenizer::Tokenizer& tokenizer, Session& session,
               std::span<const int32_t> seen, const GenerateOptions& options)
    : session_(session),
      options_(options),
      reading_(writing_options(options.learn)),
      writer_(config, tokenizer, options, seen),
      logits_V_(room_for_download(session.logits_BV()[0])) {}

std::optional<std::string> Pieces::next() {
  std::string piece;
  while (piece.empty() && !writer_.done()) {
    if (options_.keep_going && !options_.keep_going()) {
      writer_.end(StopReason::interrupted);
      break;
    }
    logits_V_.copy_(session_.logits_BV()[0]);
    const int32_t token = writer_.draw({logits_V_.const_data_ptr<float>(), static_cast<size_t>(logits_V_.numel())});
    session_.write(ttt::as_batch({&token, 1}), reading_);
    piece = writer_.take(token);
  }
  if (piece.empty() && !finished_) {
    finished_ = true;
    session_.settle(reading_);  // this call says so if the step is not finite
    piece = writer_.finish();
  }
  text_ += piece;
  return piece.empty() ? std::nullopt : std::optional(std::move(piece));
}

}  // namespace ingrain::session
