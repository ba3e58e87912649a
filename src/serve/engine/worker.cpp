#include "serve/engine/worker.h"

#include "base/clock.h"
#include "api/parts.h"
#include "base/error.h"
#include "model/device.h"
#include "session/generate.h"
#include "session/step_numbers.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace ingrain::serve {
namespace {

using Clock = std::chrono::steady_clock;

std::span<const float> floats_of(const Tensor& x) {
  return {x.const_data_ptr<float>(), static_cast<size_t>(x.numel())};
}

}  // namespace

Worker::Worker(const Model& model, States& states, int64_t slice)
    : model_(model),
      network_(model.parts().network),
      states_(states),
      slice_(slice),
      batch_(network_),
      allowed_(static_cast<size_t>((network_.config.vocab_size + 63) / 64)) {}

Worker::~Worker() = default;

int64_t Worker::jobs() const {
  std::vector<const Job*> all;
  for (const Reading& reading : readings_) all.push_back(reading.job.get());
  for (const auto& text : texts_) all.push_back(text->job.get());
  std::sort(all.begin(), all.end());
  return std::unique(all.begin(), all.end()) - all.begin();
}

ttt::ReadOptions Worker::options_of(Job& job, bool written, int64_t choice) {
  ttt::ReadOptions out = session::reading_options(job.writing.learn, written);
  out.score = !job.writes;
  out.on_step = [this, &job, choice](const ttt::StepReport& step, const ttt::Memory&, const std::vector<Mlp>&) {
    ++job.steps;
    ++counts_.steps;
    Event event;
    event.kind = Event::Kind::step;
    event.choice = choice;
    event.step = session::numbers_of(step);
    job.send(std::move(event));
  };
  return out;
}

void Worker::begin(const std::shared_ptr<Job>& job) {
  Reading reading;
  reading.job = job;
  try {
    reading.session =
        std::make_unique<session::Session>(network_, job->memory ? job->memory->fork() : ttt::empty_memory(network_));
    job->memory.reset();
    reading.node = job->from;
    reading.options = options_of(*job, /*written=*/false, 0);
    if (job->tokens.empty())
      has_read(reading);
    else
      readings_.push_back(std::move(reading));
  } catch (...) {
    job->finish(std::current_exception());
  }
}

void Worker::step() {
  const bool read_now = !readings_.empty() && (texts_.empty() || reading_owes_ <= 0);
  const Clock::time_point start = Clock::now();
  if (read_now) {
    Reading reading = std::move(readings_.front());
    readings_.pop_front();
    const std::shared_ptr<Job> job = reading.job;
    try {
      read_slice(reading);
      const bool over = reading.done == job->tokens.size() || job->cancelled;
      if (over)
        has_read(reading);
      else
        readings_.push_back(std::move(reading));
    } catch (...) {
      fail(job, std::current_exception());
    }
    job->seconds_reading += seconds_since(start);
    reading_owes_ = seconds_since(start);
  } else if (!texts_.empty()) {
    write_step();
    reading_owes_ -= seconds_since(start);
  }
  clean();
  counts_.seconds += seconds_since(start);
}

void Worker::read_slice(Reading& reading) {
  Job& job = *reading.job;
  if (job.cancelled) return;
  const int64_t position = reading.session->position();
  size_t end = std::min(job.tokens.size(), reading.done + static_cast<size_t>(slice_ - position % slice_));
  if (reading.done < job.shared) end = std::min(end, job.shared);
  const std::span<const int32_t> tokens = std::span(job.tokens).subspan(reading.done, end - reading.done);
  const ttt::ReadResult result = reading.session->read(ttt::as_batch(tokens), reading.options);
  if (!job.writes) {
    const Tensor nll_n = result.nll_Bn[0].to(at::kCPU, at::kDouble);
    const Tensor finite_n = nll_n.masked_select(nll_n.isfinite());
    job.nll_sum += finite_n.sum().item<double>();
    job.nll_count += finite_n.numel();
  }
  reading.done = end;
  job.tokens_read = static_cast<int64_t>(end);
  counts_.read += static_cast<int64_t>(tokens.size());
  if (job.writes && end == job.shared && end < job.tokens.size()) keep(reading);
  Event event;
  event.kind = Event::Kind::reading;
  event.tokens_read = static_cast<int64_t>(end);
  event.tokens_to_read = static_cast<int64_t>(job.tokens.size());
  job.send(std::move(event));
}

/// A state of what was read so far.
void Worker::keep(Reading& reading) {
  if (reading.done == reading.node_at) return;
  const Job& job = *reading.job;
  const std::span<const int32_t> tokens =
      std::span(job.tokens).subspan(reading.node_at, reading.done - reading.node_at);
  auto memory = std::make_shared<const ttt::Memory>(reading.session->memory().packed());
  reading.node = states_.add(job.root, reading.node, tokens, std::move(memory)).node;
  reading.node_at = reading.done;
}

void Worker::has_read(Reading& reading) {
  const std::shared_ptr<Job> job = reading.job;
  job->stopped_reading = reading.done < job->tokens.size();
  if (!job->writes) {
    job->result = reading.session->memory().packed();
    return job->finish();
  }
  if (job->stopped_reading) {
    job->written.assign(static_cast<size_t>(job->writing.choices), {});
    return job->finish();
  }
  keep(reading);
  begin_writing(reading);
}

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
  const Clock::time_point start = Clock::now();
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
    try {
      give(text, text.writer->take(tokens[i]) + mark_of(*text.job, tokens[i]));
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

void Worker::end(Text& text) {
  Job& job = *text.job;
  Job::Written& written = job.written[text.choice];
  give(text, text.writer->finish());
  written.reason = text.writer->reason();
  written.tokens = text.writer->tokens();
  written.after = text.node;  // the prompt's, or what was known of it
  if (!written.tokens.empty()) written.memory = std::make_shared<const ttt::Memory>(text.session->memory().packed());
  text.over = true;
  const bool others = std::any_of(texts_.begin(), texts_.end(), [&](const std::unique_ptr<Text>& other) {
    return other->job == text.job && !other->over;
  });
  if (!others) job.finish();
}

/// All of the job's texts end.
void Worker::fail(const std::shared_ptr<Job>& job, std::exception_ptr error) {
  for (const auto& text : texts_)
    if (text->job == job) text->over = true;
  job->finish(std::move(error));
}

void Worker::clean() {
  std::erase_if(texts_, [](const std::unique_ptr<Text>& text) { return text->over; });
}

}  // namespace ingrain::serve
