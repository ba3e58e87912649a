// Prompts: whose slice is next, and what becomes of it.
#include "serve/engine/worker.h"

#include "api/parts.h"

#include <algorithm>
#include <utility>

namespace ingrain::serve {

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
  const ttt::Memory& from = memory ? *memory : empty_;
  reading.weights = from.W_S;
  reading.session = std::make_unique<session::Session>(network_, from.fork());
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
    states_.restore(job.from, std::make_shared<const ttt::Memory>(shrunk(reading.session->memory(), reading.weights)));
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
  auto memory = std::make_shared<const ttt::Memory>(shrunk(reading.session->memory(), reading.weights));
  reading.node = states_.add(job.root, reading.node, tokens, std::move(memory)).node;
  reading.node_at = reading.done;
}

void Worker::has_read(Reading& reading) {
  const std::shared_ptr<Job> job = reading.job;
  job->stopped_reading = reading.part < job->again.size() || reading.done < job->tokens.size();
  if (!job->writes) {
    job->result = shrunk(reading.session->memory(), reading.weights);
    return job->finish();
  }
  if (job->stopped_reading) {
    job->written.assign(static_cast<size_t>(job->writing.choices), {});
    return job->finish();
  }
  keep(reading);
  begin_writing(reading);
}

}  // namespace ingrain::serve
