#include "serve/api/metrics.h"

#include "base/allocator.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ingrain::serve::api {
namespace {

template <class Number>
void write_figure(std::string& out, std::string_view name, std::string_view type, std::string_view help, Number value) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

}  // namespace

void SecondsHistogram::add(double seconds) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++counts_[static_cast<size_t>(bound - kBounds.begin())];
  sum_ += seconds;
  ++count_;
}

void SecondsHistogram::write(std::string& out, std::string_view name, std::string_view help) const {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "# HELP {0} {1}\n# TYPE {0} histogram\n", name, help);
  int64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i)
    fmt::format_to(to, "{}_bucket{{le=\"{}\"}} {}\n", name, kBounds[i], below += counts_[i]);
  fmt::format_to(to, "{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, count_, sum_);
}

void Metrics::request(const std::string& route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  request_seconds_.add(seconds);
}

void Metrics::answer(const Outcome& outcome, double seconds_to_first_text) {
  int64_t written = 0;
  for (const Choice& choice : outcome.choices) written = std::max(written, choice.tokens);
  const std::lock_guard lock(mutex_);
  queue_seconds_.add(outcome.seconds_queued);
  reading_seconds_.add(outcome.seconds_reading);
  if (seconds_to_first_text >= 0) first_text_seconds_.add(seconds_to_first_text);
  if (written > 0) token_seconds_.add(outcome.seconds_writing / static_cast<double>(written));
}

std::string Metrics::text(const EngineStats& stats, int64_t connections) const {
  std::string out;
  const auto counter = [&](const char* name, const char* help, auto value) {
    write_figure(out, name, "counter", help, value);
  };
  const auto gauge = [&](const char* name, const char* help, auto value) {
    write_figure(out, name, "gauge", help, value);
  };
  counter("ingrain_tokens_read_total", "Tokens read.", stats.tokens_read);
  counter("ingrain_tokens_written_total", "Tokens written.", stats.tokens_written);
  counter("ingrain_tokens_cached_total", "Tokens of prompts that a memory had read before.", stats.tokens_cached);
  counter("ingrain_tokens_learned_total", "Tokens learned: of the chunks of all inner steps.", stats.tokens_learned);
  counter("ingrain_inner_steps_total", "Inner steps: chunks learned from.", stats.inner_steps);
  counter("ingrain_prompts_total", "Prompts.", stats.prompts);
  counter("ingrain_prompts_known_total", "Prompts of which a beginning was known.", stats.prompts_known);
  counter("ingrain_computing_seconds_total", "Seconds of computing.", stats.seconds_computing);
  gauge("ingrain_answers_running", "Answers being written.", stats.running);
  gauge("ingrain_answers_waiting", "Answers that wait for a place.", stats.waiting);
  gauge("ingrain_states", "States of memories that are kept.", stats.states);
  gauge("ingrain_states_in_memory", "States whose tensors are in RAM.", stats.states_in_memory);
  gauge("ingrain_state_bytes_in_memory", "Bytes of states in RAM.", stats.state_bytes_in_memory);
  gauge("ingrain_working_bytes", "Bytes in RAM of what is being read and written.", stats.working_bytes);
  gauge("ingrain_body_bytes", "Bytes of the memory budget that bodies of requests take.", stats.outside_bytes);
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident_bytes());
  gauge("ingrain_state_bytes_on_disk", "Bytes of states on disk.", stats.state_bytes_on_disk);
  gauge("ingrain_connections", "Open connections.", connections);
  const std::lock_guard lock(mutex_);
  out += "# HELP ingrain_requests_total Requests by route and status.\n# TYPE ingrain_requests_total counter\n";
  for (const auto& [key, count] : requests_)
    fmt::format_to(std::back_inserter(out), "ingrain_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first,
                   key.second, count);
  request_seconds_.write(out, "ingrain_request_seconds", "From a request to its reply's end.");
  first_text_seconds_.write(out, "ingrain_first_text_seconds", "From a request to the first text of its answer.");
  queue_seconds_.write(out, "ingrain_queue_seconds", "Waiting before reading began.");
  reading_seconds_.write(out, "ingrain_reading_seconds", "Reading a prompt.");
  token_seconds_.write(out, "ingrain_token_seconds", "Writing a token, the mean of an answer.");
  return out;
}

}  // namespace ingrain::serve::api
