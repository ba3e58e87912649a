// Answers: all that write draw a token, read it in one batch, and give out what it says.
#include "serve/engine/worker.h"

#include "base/clock.h"
#include "api/parts.h"
#include "model/device.h"
#include "session/generate.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace ingrain::serve {
namespace {

std::span<const float> floats_of(const Tensor& x) {
  return {x.const_data_ptr<float>(), static_cast<size_t>(x.numel())};
}

}  // namespace

void Worker::begin_writing(Reading& reading) {
  const std::shared_ptr<Job> job = reading.job;
  const size_t choices = static_cast<size_t>(job->writing.choices);
  job->written.assign(choices, {});
  std::vector<std::unique_ptr<Text>> texts;
  for (size_t i = 0; i < choices; ++i) {
    auto text = std::make_unique<Text>();
    text->job = job;
    text->choice = i;
    text->node = reading.node;
    GenerateOptions how = job->how;
    how.sampling.seed += i;
    text->writer = std::make_unique<session::TextWriter>(network_.config, model_.parts().tokenizer(), how, job->seen);
    if (job->writing.constraint) text->constraint = job->writing.constraint->clone();
    text->options = options_of(*job, /*written=*/true, static_cast<int64_t>(i));
    text->weights = reading.weights;
    texts.push_back(std::move(text));
  }
  for (size_t i = 1; i < choices; ++i) texts[i]->session = reading.session->fork();
  texts[0]->session = std::move(reading.session);
  for (auto& text : texts) {
    batch_.add(*text->session);
    texts_.push_back(std::move(text));
  }
}

WrittenToken Worker::score_of(const Job& job, std::span<const float> logits, int32_t token) const {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  const double log_sum = largest + std::log(sum);
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer();
  const auto score = [&](int32_t id) {
    return TokenScore{id, std::string(tokenizer.id_to_bytes(id)), logits[static_cast<size_t>(id)] - log_sum};
  };
  WrittenToken out{score(token), {}};
  const size_t count = std::min(static_cast<size_t>(job.writing.top_logprobs), logits.size());
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                    [&](int32_t a, int32_t b) {
                      const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  for (size_t i = 0; i < count; ++i) out.top.push_back(score(ids[i]));
  return out;
}

/// The next token; -1: the text ends here.
int32_t Worker::draw(Text& text, const Tensor& logits_V) {
  const Tensor wide_V = logits_V.to(at::kFloat).contiguous();
  const std::span<const float> logits = floats_of(wide_V);
  std::span<const uint64_t> allowed;
  if (text.constraint) {
    if (text.constraint->complete()) {
      text.writer->end(StopReason::end_of_text);
      return -1;
    }
    text.constraint->allow(allowed_);
    if (text.constraint->may_end())
      for (const int64_t end : network_.config.eos_ids)
        allowed_[static_cast<size_t>(end) / 64] |= uint64_t{1} << (end % 64);
    allowed = allowed_;
  }
  const int32_t token = text.writer->draw(logits, allowed);
  if (text.constraint && !session::ends_text(network_.config, token)) text.constraint->accept(token);
  if (text.job->writing.top_logprobs >= 0) text.scores.push_back(score_of(*text.job, logits, token));
  return token;
}

std::vector<Worker::Drawing> Worker::draw_all() {
  std::vector<Drawing> out;
  for (const auto& text : texts_) {
    if (text->job->cancelled) text->writer->end(StopReason::interrupted);
    Drawing& drawing = out.emplace_back(Drawing{text.get(), {}});
    if (text->writer->done()) continue;
    try {
      const Tensor logits_V = text->session->logits_BV()[0];
      drawing.logits_V = logits_V.is_cpu() ? logits_V : room_for_download(logits_V).copy_(logits_V);
    } catch (...) {
      drawing.error = std::current_exception();
    }
  }
  const auto draw_one = [&](Drawing& drawing) {
    if (!drawing.logits_V.defined()) return;
    try {
      drawing.token = draw(*drawing.text, drawing.logits_V);
    } catch (...) {
      drawing.error = std::current_exception();
    }
  };
  at::parallel_for(0, static_cast<int64_t>(out.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Drawing& drawing = out[static_cast<size_t>(i)];
      if (!drawing.text->constraint) draw_one(drawing);
    }
  });
  for (Drawing& drawing : out)
    if (drawing.text->constraint) draw_one(drawing);
  return out;
}

void Worker::write_step() {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Text*> turns_of;
  std::vector<int32_t> tokens;
  for (const Drawing& drawing : draw_all()) {
    Text* const text = drawing.text;
    try {
      if (drawing.error) std::rethrow_exception(drawing.error);
      if (drawing.token < 0) {
        end(*text);
        continue;
      }
      std::string more = text->writer->take(drawing.token) + mark_of(*text->job, drawing.token);
      if (ends_unread(*text)) {
        ++counts_.written;
        give(*text, std::move(more));
        if (text->writer->reason() == StopReason::stop_string) go_back(*text);
        end(*text);
        continue;
      }
      keep_before_stop(*text);
      give(*text, std::move(more));  // before the token is read, which may take long where a chunk ends
      tokens.push_back(drawing.token);
      turns_of.push_back(text);
    } catch (...) {
      fail(text->job, std::current_exception());
    }
  }
  std::vector<session::Batch::Turn> turns;
  for (size_t i = 0; i < turns_of.size(); ++i)
    if (!turns_of[i]->over)  // its job may have failed in another of its texts
      turns.push_back({*turns_of[i]->session, ttt::as_batch({&tokens[i], 1}), turns_of[i]->options});
  if (turns.empty()) return;
  try {
    batch_.step(turns);
  } catch (...) {
    for (Text* const text : turns_of) fail(text->job, std::current_exception());
    return;
  }
  counts_.written += static_cast<int64_t>(turns.size());
  for (size_t i = 0; i < turns_of.size(); ++i) {
    Text& text = *turns_of[i];
    if (text.over) continue;
    ++text.read;
    try {
      if (text.choice == 0) text.job->seconds_writing += seconds_since(start);
      if (text.writer->done()) end(text);
    } catch (...) {
      fail(text.job, std::current_exception());
    }
  }
}

void Worker::give(Text& text, std::string more) {
  if (more.empty() && text.scores.empty()) return;
  text.job->written[text.choice].text += more;
  Event event;
  event.choice = static_cast<int64_t>(text.choice);
  event.text = std::move(more);
  event.written = static_cast<int64_t>(text.writer->tokens().size());
  event.tokens = std::exchange(text.scores, {});
  text.job->send(std::move(event));
}

std::string Worker::mark_of(const Job& job, int32_t token) const {
  const std::vector<std::string>& marks = job.writing.marks;
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer();
  if (marks.empty() || !tokenizer.is_special(token)) return {};
  std::string spelling(tokenizer.id_to_bytes(token));
  return std::find(marks.begin(), marks.end(), spelling) == marks.end() ? std::string() : spelling;
}

/// What completes a stop string is in no conversation; an end-of-text token is where templates write it.
bool Worker::ends_unread(const Text& text) const {
  if (!text.writer->done()) return false;
  const StopReason reason = text.writer->reason();
  return reason == StopReason::stop_string || (reason == StopReason::end_of_text && !text.job->reads_end);
}

/// What a stop string may begin with is about to be read: the memory is kept as it is before that.
void Worker::keep_before_stop(Text& text) {
  if (text.writer->done() || !text.writer->may_stop())
    text.before_stop.reset();
  else if (!text.before_stop)
    text.before_stop = {text.session->memory().fork(), text.read};
}

/// To before the stop string, of which all but the last token was read; what was given out since then is read again.
void Worker::go_back(Text& text) {
  const size_t given = text.writer->given();
  if (given >= text.read || !text.before_stop) return;
  text.session->settle(text.options);
  text.session->become(std::move(text.before_stop->memory));
  text.read = text.before_stop->read;
  ttt::ReadOptions options = text.options;
  options.on_step = {};  // told of already
  for (; text.read < given; ++text.read)
    text.session->write(ttt::as_batch(std::span(text.writer->tokens()).subspan(text.read, 1)), options);
}

void Worker::end(Text& text) {
  Job& job = *text.job;
  Job::Written& written = job.written[text.choice];
  text.session->settle(text.options);
  give(text, text.writer->finish());
  written.reason = text.writer->reason();
  written.tokens = text.writer->tokens();
  written.read = text.read;
  written.after = text.node;  // the prompt's, or what was known of it
  written.memory = std::make_shared<const ttt::Memory>(shrunk(text.session->memory(), text.weights));
  text.over = true;
  const bool others = std::any_of(texts_.begin(), texts_.end(), [&](const std::unique_ptr<Text>& other) {
    return other->job == text.job && !other->over;
  });
  if (!others) job.finish();
}

}  // namespace ingrain::serve
