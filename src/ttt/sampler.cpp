#include "ttt/sampler.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace ingrain::ttt {

void validate(const SamplingOptions& o) {
  const auto check = [](bool ok, const char* option, double value, const char* rule) {
    if (!ok) fail_usage("{} is {}; it must be {}", option, value, rule);
  };
  check(std::isfinite(o.temperature) && o.temperature >= 0, "temperature", o.temperature, "0 or more");
  check(o.top_k >= 0, "top-k", static_cast<double>(o.top_k), "0 (all tokens) or more");
  check(o.top_p > 0 && o.top_p <= 1, "top-p", o.top_p, "above 0 and at most 1");
  check(o.min_p >= 0 && o.min_p <= 1, "min-p", o.min_p, "between 0 and 1");
  check(std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0, "repetition penalty", o.repetition_penalty, "above 0");
  check(std::isfinite(o.presence_penalty), "presence penalty", o.presence_penalty, "a finite number");
  check(std::isfinite(o.frequency_penalty), "frequency penalty", o.frequency_penalty, "a finite number");
  check(o.penalty_window >= 0, "penalty window", static_cast<double>(o.penalty_window), "0 or more");
  for (const auto& [id, bias] : o.logit_bias)
    check(id >= 0 && !std::isnan(bias) && bias < INFINITY, "logit bias", bias, "a finite number or -infinity, for an id of 0 or more");
}

Sampler::Sampler(SamplingOptions options) : options_(std::move(options)), random_(options_.seed) { validate(options_); }

void Sampler::accept(int32_t token) {
  if (options_.penalty_window == 0) return;
  seen_.push_back(token);
  ++counts_[token];
  if (static_cast<int64_t>(seen_.size()) <= options_.penalty_window) return;
  const auto oldest = counts_.find(seen_.front());
  if (--oldest->second == 0) counts_.erase(oldest);
  seen_.pop_front();
}

std::vector<Sampler::Candidate> Sampler::adjusted(std::span<const float> logits) const {
  std::vector<double> values(logits.begin(), logits.end());
  for (const auto& [id, bias] : options_.logit_bias)
    if (static_cast<size_t>(id) < values.size()) values[static_cast<size_t>(id)] += bias;
  for (const auto& [id, count] : counts_) {
    if (static_cast<size_t>(id) >= values.size()) continue;
    double& x = values[static_cast<size_t>(id)];
    x = x > 0 ? x / options_.repetition_penalty : x * options_.repetition_penalty;
    x -= options_.presence_penalty + options_.frequency_penalty * static_cast<double>(count);
  }
  std::vector<Candidate> out;
  out.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] > -INFINITY) out.push_back({values[i], static_cast<int32_t>(i)});  // false for NaN
  require(!out.empty(), "every token is forbidden (logit bias, or a model that computes NaN); there is nothing to sample");
  return out;
}

/// Leaves the tokens that top-k, top-p and min-p allow. `falling`: probabilities, sum 1.
void Sampler::cut(std::vector<Candidate>& falling) const {
  if (options_.top_p < 1) {
    double sum = 0;
    size_t keep = 0;
    while (keep < falling.size() && sum < options_.top_p) sum += falling[keep++].value;
    falling.resize(keep);
  }
  const double least = options_.min_p * falling.front().value;
  while (falling.size() > 1 && falling.back().value < least) falling.pop_back();
}

int32_t Sampler::sample(std::span<const float> logits) {
  std::vector<Candidate> c = adjusted(logits);
  const auto before = [](const Candidate& a, const Candidate& b) { return a.value != b.value ? a.value > b.value : a.id < b.id; };
  if (options_.temperature == 0) return std::min_element(c.begin(), c.end(), before)->id;
  const size_t k = options_.top_k > 0 ? std::min(c.size(), static_cast<size_t>(options_.top_k)) : c.size();
  std::partial_sort(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(k), c.end(), before);
  c.resize(k);
  const double largest = c.front().value;
  double sum = 0;
  for (Candidate& x : c) sum += x.value = x.value == largest ? 1 : std::exp((x.value - largest) / options_.temperature);
  for (Candidate& x : c) x.value /= sum;
  cut(c);
  sum = 0;
  for (const Candidate& x : c) sum += x.value;
  const double u = static_cast<double>(random_.next() >> 11) * 0x1p-53 * sum;
  double cumulative = 0;
  for (const Candidate& x : c)
    if ((cumulative += x.value) > u) return x.id;
  return c.back().id;  // rounding may leave u just above the last sum
}

std::string StopStrings::push(std::string_view text) {
  if (stopped_) return {};
  waiting_ += text;
  size_t end = waiting_.npos;
  for (const std::string& stop : stops_)
    if (!stop.empty()) end = std::min(end, waiting_.find(stop));
  if (end != waiting_.npos) {
    stopped_ = true;
    std::string out = waiting_.substr(0, end);
    waiting_.clear();
    return out;
  }
  // The longest end of the text that begins a stop string waits.
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(waiting_.size(), stop.size() > 0 ? stop.size() - 1 : 0); n > keep; --n)
      if (waiting_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
  }
  std::string out = waiting_.substr(0, waiting_.size() - keep);
  waiting_.erase(0, out.size());
  return out;
}

std::string StopStrings::finish() { return std::exchange(waiting_, {}); }

}  // namespace ingrain::ttt
