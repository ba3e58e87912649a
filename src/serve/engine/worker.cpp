#include "serve/engine/worker.h"

#include "base/clock.h"
#include "api/parts.h"
#include "session/generate.h"
#include "session/step_numbers.h"
#include "ttt/memory_file.h"

#include <algorithm>
#include <map>
#include <utility>

namespace ingrain::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMostAhead = 0.02;   // seconds that writing may have had beyond its share, and then waits
constexpr double kLeastShare = 0.25;  // of the time of reading, for writing

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
      empty_(shrunk(ttt::empty_memory(network_))),
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

void Worker::step() {
  const bool read_now = !readings_.empty() && (texts_.empty() || reading_owes_ <= 0);
  const Clock::time_point start_time = Clock::now();
  if (read_now) {
    const bool some_wait = !texts_.empty();
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
    const double due = seconds_since(start_time) * std::clamp(texts / readings, kLeastShare, 1.0);
    reading_owes_ = some_wait ? std::max(reading_owes_, -kMostAhead) + due : 0;
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
  if (job.writing.learn != Learn::off && begin / c.chunk != end / c.chunk)
    out += (c.inner.step_delay > 0 ? 2 : 1) * learned + momentum + step_bytes_;
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
    // In its second half a chunk's step is made ahead; a delayed one is finished in the next chunk.
    const int64_t b = network_.config.chunk, place = text->session->position() % b;
    if (2 * place > b || place < network_.config.inner.step_delay) own += step_bytes_;
    if (text->before_stop) {
      const ttt::Memory& before = text->before_stop->memory;  // its fast weights are the session's, or were
      own += ttt::memory_bytes(before) - weight_bytes(before.W_S);
    }
    counts_.bytes += own;
    bytes[text->job.get()] += row + own;
  }
  expected_ = 0;
  for (const auto& [job, there] : bytes) expected_ += std::max(there, expected_bytes(*job));
  states_.set_working_bytes(counts_.bytes);
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
