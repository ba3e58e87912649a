#include "serve/engine/worker.h"

#include "base/clock.h"
#include "api/parts.h"
#include "base/error.h"
#include "model/device.h"
#include "session/generate.h"
#include "session/step_numbers.h"
#include "ttt/memory_file.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

namespace ingrain::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMostAhead = 0.02;   // seconds that writing may have had beyond its share, and then waits
constexpr double kLeastShare = 0.25;  // of the time of reading, for writing

std::span<const float> floats_of(const Tensor& x) {
  return {x.const_data_ptr<float>(), static_cast<size_t>(x.numel())};
}

/// What a chunk's step is made of, about: its tokens' activations in the suffix blocks.
uint64_t step_bytes(const Network& network) {
  const ModelConfig& c = network.config;
  int64_t width = 0;
  for (const Mlp& mlp : network.weights.fast_S) width += 2 * mlp.w13_FD.size(0) + 12 * c.hidden_size;
  return static_cast<uint64_t>(width * c.chunk) * network.weights.embedding_VD.element_size();
}

}  // namespace

Worker::Worker(const Model& model, States& states, int64_t slice)
    : model_(model),
      network_(model.parts().network),
      states_(states),
      slice_(slice),
      step_bytes_(step_bytes(network_)),
      empty_(packed(ttt::empty_memory(network_))),
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
  reading.node = job->from;
  reading.options = options_of(*job, /*written=*/false, 0);
  readings_.push_back(std::move(reading));
  count_bytes();
}

/// Another one is about to leave a state that it can begin from: instructions that many share are read once.
bool Worker::waits_for_another(const Reading& reading) const {
  if (reading.session) return false;
  return std::any_of(readings_.begin(), readings_.end(), [&](const Reading& other) {
    if (!other.session || other.job->root != reading.job->root) return false;
    for (const Job::Beginning& theirs : other.job->beginnings)
      for (const Job::Beginning& mine : reading.job->beginnings)
        if (mine.hash == theirs.hash && (theirs.tokens > other.done || other.part < other.job->again.size()))
          return true;
    return false;
  });
}

/// In turns the one that came first, or had its slice longest ago, and the one with the fewest tokens left.
Worker::Reading Worker::next_reading() {
  const auto left = [](const Reading& reading) { return reading.job->tokens_to_read() - reading.read; };
  const bool shortest = std::exchange(shortest_next_, !shortest_next_);
  auto next = readings_.end();
  for (auto reading = readings_.begin(); reading != readings_.end(); ++reading) {
    const bool better = next == readings_.end() || (shortest && left(*reading) < left(*next));
    if (better && !waits_for_another(*reading)) next = reading;
  }
  Reading out = std::move(*next);
  readings_.erase(next);
  return out;
}

/// From what the caller has found, or from what another job has left since.
void Worker::start(Reading& reading) {
  Job& job = *reading.job;
  std::shared_ptr<const ttt::Memory> memory = std::move(job.memory);
  for (const Job::Beginning& beginning : job.beginnings) {
    auto known = states_.known(job.root, job.from, std::span(job.tokens).first(beginning.tokens), beginning.hash);
    if (!known) continue;
    reading.node = std::move(known->node);
    memory = std::move(known->memory);
    job.tokens_known = reading.done = reading.node_at = beginning.tokens;
    job.again.clear();
    break;
  }
  tell_reading(reading);  // what is known is there
  const ttt::Memory& from = memory ? *memory : empty_;
  reading.weights = from.W_S;
  reading.session = std::make_unique<session::Session>(network_, from.fork());
}

void Worker::step() {
  const bool read_now = !readings_.empty() && (texts_.empty() || reading_owes_ <= 0);
  const Clock::time_point start_time = Clock::now();
  if (read_now) {
    Reading reading = next_reading();
    const std::shared_ptr<Job> job = reading.job;
    try {
      if (!reading.session) start(reading);
      read_slice(reading);
      const bool all = reading.part == job->again.size() && reading.done == job->tokens.size();
      if (all || job->cancelled)
        has_read(reading);
      else
        readings_.push_back(std::move(reading));
    } catch (...) {
      fail(job, std::current_exception());
    }
    job->seconds_reading += seconds_since(start_time);
    const auto texts = static_cast<double>(texts_.size()), readings = static_cast<double>(readings_.size() + 1);
    reading_owes_ = std::max(reading_owes_, -kMostAhead) +
                    seconds_since(start_time) * std::clamp(texts / readings, kLeastShare, 1.0);
  } else if (!texts_.empty()) {
    write_step();
    reading_owes_ -= seconds_since(start_time);
  }
  clean();
  count_bytes();
  counts_.seconds += seconds_since(start_time);
}

/// Windows as memory and row have them, both with room for more; the row's fast weights; and where a chunk ends, those
/// of its own and what the step is made of.
uint64_t Worker::expected_bytes(const Job& job) const {
  const ModelConfig& c = network_.config;
  const int64_t begin = job.from ? job.from->position : 0;
  const int64_t end = begin + static_cast<int64_t>(job.tokens.size()) +
                      (job.writes ? std::min<int64_t>(job.how.max_tokens, c.chunk) : 0);
  const uint64_t learned = weight_bytes(empty_.W_S), momentum = weight_bytes(empty_.M_S),
                 type = network_.weights.embedding_VD.element_size();
  constexpr uint64_t kMore = 256;  // positions: KvCache's room beyond twice what it keeps
  const auto window = [&](int64_t position) { return ttt::least_file_bytes(network_, position) - learned - momentum; };
  uint64_t out = window(2 * end) + 2 * window(end) + kMore * window(1);
  if (job.writes && !empty_.W_S.empty()) out += learned * type / empty_.W_S[0].w13_FD.element_size();
  if (job.writing.learn != Learn::off && begin / c.chunk != end / c.chunk) out += learned + momentum + step_bytes_;
  return out * (job.writes ? static_cast<uint64_t>(job.writing.choices) : 1);
}

void Worker::count_bytes() {
  std::map<const Job*, uint64_t> bytes;
  const uint64_t rows = batch_.bytes();
  counts_.bytes = rows;
  for (const Reading& reading : readings_) {
    const uint64_t own = reading.session ? reading.session->bytes(reading.weights) : 0;
    counts_.bytes += own;
    bytes[reading.job.get()] += own;
  }
  const uint64_t row = texts_.empty() ? 0 : rows / texts_.size();
  for (const auto& text : texts_) {
    uint64_t own = text->session->bytes(text->weights);
    // In its second half a chunk's step is made ahead.
    if (2 * (text->session->position() % network_.config.chunk) > network_.config.chunk) own += step_bytes_;
    counts_.bytes += own;
    bytes[text->job.get()] += row + own;
  }
  expected_ = 0;
  for (const auto& [job, there] : bytes) expected_ += std::max(there, expected_bytes(*job));
  states_.set_working_bytes(counts_.bytes);
}

void Worker::read_slice(Reading& reading) {
  Job& job = *reading.job;
  if (job.cancelled) return;
  if (reading.part < job.again.size()) return read_part(reading);
  const int64_t position = reading.session->position();
  size_t end = std::min(job.tokens.size(), reading.done + static_cast<size_t>(slice_ - position % slice_));
  if (reading.done < job.shared) end = std::min(end, job.shared);
  const std::span<const int32_t> tokens = std::span(job.tokens).subspan(reading.done, end - reading.done);
  if (tokens.empty()) return;
  const ttt::ReadResult result = reading.session->read(ttt::as_batch(tokens), reading.options);
  if (!job.writes) {
    const Tensor nll_n = result.nll_Bn[0].to(at::kCPU, at::kDouble);
    const Tensor finite_n = nll_n.masked_select(nll_n.isfinite());
    job.nll_sum += finite_n.sum().item<double>();
    job.nll_count += finite_n.numel();
  }
  reading.done = end;
  if (job.writes && end == job.shared && end < job.tokens.size()) keep(reading);
  has_read_some(reading, tokens.size());
}

/// As it was read for the first time, so that it becomes the same to the last bit.
void Worker::read_part(Reading& reading) {
  Job& job = *reading.job;
  const ReadPart& part = job.again[reading.part];
  auto tokens = std::span(part.tokens).subspan(reading.part_done);
  if (part.written) {
    constexpr size_t kAtOnce = 16;  // one by one
    tokens = tokens.first(std::min(tokens.size(), kAtOnce));
    const ttt::ReadOptions options = options_of(job, /*written=*/true, 0);
    for (size_t i = 0; i < tokens.size(); ++i) reading.session->write(ttt::as_batch(tokens.subspan(i, 1)), options);
  } else {
    const auto slice = static_cast<size_t>(slice_ - reading.session->position() % slice_);
    tokens = tokens.first(std::min(tokens.size(), slice));
    reading.session->read(ttt::as_batch(tokens), reading.options);
  }
  reading.part_done += tokens.size();
  if (reading.part_done == part.tokens.size()) {
    ++reading.part;
    reading.part_done = 0;
  }
  if (reading.part == job.again.size())
    states_.restore(job.from, std::make_shared<const ttt::Memory>(packed(reading.session->memory(), reading.weights)));
  has_read_some(reading, tokens.size());
}

void Worker::has_read_some(Reading& reading, size_t tokens) {
  Job& job = *reading.job;
  reading.read += tokens;
  job.tokens_read = static_cast<int64_t>(reading.read);
  counts_.read += static_cast<int64_t>(tokens);
  tell_reading(reading);
}

void Worker::tell_reading(const Reading& reading) {
  Event event;
  event.kind = Event::Kind::reading;
  event.tokens_read = reading.job->tokens_read;
  event.tokens_to_read = static_cast<int64_t>(reading.job->tokens_to_read());
  reading.job->send(std::move(event));
}

/// A state of what was read so far.
void Worker::keep(Reading& reading) {
  if (reading.done == reading.node_at) return;
  const Job& job = *reading.job;
  const std::span<const int32_t> tokens =
      std::span(job.tokens).subspan(reading.node_at, reading.done - reading.node_at);
  auto memory = std::make_shared<const ttt::Memory>(packed(reading.session->memory(), reading.weights));
  reading.node = states_.add(job.root, reading.node, tokens, std::move(memory)).node;
  reading.node_at = reading.done;
}

void Worker::has_read(Reading& reading) {
  const std::shared_ptr<Job> job = reading.job;
  job->stopped_reading = reading.part < job->again.size() || reading.done < job->tokens.size();
  if (!job->writes) {
    job->result = packed(reading.session->memory(), reading.weights);
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
  const Clock::time_point start = Clock::now();
  std::vector<Text*> turns_of;
  std::vector<int32_t> tokens;
  std::vector<std::string> texts;
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
        text->job->written[text->choice].last_unread = true;
        give(*text, std::move(more));
        end(*text);
        continue;
      }
      texts.push_back(std::move(more));
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
      give(text, std::move(texts[i]));
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

void Worker::end(Text& text) {
  Job& job = *text.job;
  Job::Written& written = job.written[text.choice];
  give(text, text.writer->finish());
  written.reason = text.writer->reason();
  written.tokens = text.writer->tokens();
  written.after = text.node;  // the prompt's, or what was known of it
  written.memory = std::make_shared<const ttt::Memory>(packed(text.session->memory(), text.weights));
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
