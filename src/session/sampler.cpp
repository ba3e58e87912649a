#include "session/sampler.h"

#include "base/error.h"
#include "base/option_error.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

namespace ingrain::session {
namespace {

/// From less to more likely; of equals the lowest id is the likeliest.
bool comes_later(const Sampler::Candidate& a, const Sampler::Candidate& b) {
  return a.logit != b.logit ? a.logit < b.logit : a.id > b.id;
}

constexpr const char* kAllForbidden =
    "every token is forbidden (logit bias, a grammar, or a model that computes NaN); there is nothing to sample";

/// NaN is passed over. Several maxima side by side: one alone would wait for itself at every element.
float largest_of(std::span<const float> x) {
  constexpr size_t kLanes = 16;
  float best[kLanes];
  std::fill(best, best + kLanes, -INFINITY);
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes)
    for (size_t j = 0; j < kLanes; ++j) best[j] = x[i + j] > best[j] ? x[i + j] : best[j];
  for (; i < x.size(); ++i) best[0] = x[i] > best[0] ? x[i] : best[0];
  return *std::max_element(best, best + kLanes);
}

std::vector<float> only_allowed(std::span<const float> logits, std::span<const uint64_t> allowed) {
  std::vector<float> out(logits.size(), -INFINITY);
  const size_t n = std::min(logits.size(), allowed.size() * 64);
  for (size_t word = 0; word * 64 < n; ++word)
    for (uint64_t left = allowed[word]; left; left &= left - 1) {
      const size_t i = word * 64 + static_cast<size_t>(std::countr_zero(left));
      if (i < n) out[i] = logits[i];
    }
  return out;
}

/// Candidates in falling order, brought out one at a time: few of them carry most of the probability, and sorting a
/// whole vocabulary takes as long as a small model's pass.
class Falling {
 public:
  explicit Falling(std::vector<Sampler::Candidate>& candidates) : heap_(candidates), left_(candidates.size()) {
    std::make_heap(heap_.begin(), heap_.end(), comes_later);
  }
  const Sampler::Candidate& operator[](size_t i) {
    while (heap_.size() - left_ <= i)
      std::pop_heap(heap_.begin(), heap_.begin() + static_cast<std::ptrdiff_t>(left_--), comes_later);
    return heap_[heap_.size() - 1 - i];
  }

 private:
  std::vector<Sampler::Candidate>& heap_;  // the first `left_` are a heap, the others rise
  size_t left_;
};

}  // namespace

void validate(const SamplingOptions& o) {
  const auto check = [](bool ok, const char* option, double value, const char* rule) {
    if (!ok) fail_option(option, "is {}; it must be {}", value, rule);
  };
  check(std::isfinite(o.temperature) && o.temperature >= 0, "temperature", o.temperature, "0 or more");
  check(o.top_k >= 0, "top_k", static_cast<double>(o.top_k), "0 (all tokens) or more");
  check(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "above 0 and at most 1");
  check(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "between 0 and 1");
  check(std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0, "repetition_penalty", o.repetition_penalty,
        "above 0");
  check(std::isfinite(o.presence_penalty), "presence_penalty", o.presence_penalty, "a finite number");
  check(std::isfinite(o.frequency_penalty), "frequency_penalty", o.frequency_penalty, "a finite number");
  check(o.penalty_window >= 0, "penalty_window", static_cast<double>(o.penalty_window), "0 or more");
  for (const auto& [id, bias] : o.logit_bias) {
    if (id < 0) fail_option("logit_bias", "names token {}; ids are 0 or more", id);
    if (std::isnan(bias) || bias == INFINITY)
      fail_option("logit_bias", "gives token {} {}; it must be a finite number, or -infinity", id, bias);
  }
}

void validate(const SamplingOptions& o, int64_t vocabulary) {
  validate(o);
  for (const auto& [id, bias] : o.logit_bias)
    if (id >= vocabulary) fail_option("logit_bias", "names token {}; the model's ids are 0 to {}", id, vocabulary - 1);
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

std::vector<Sampler::Candidate> Sampler::changed(std::span<const float> logits) const {
  std::map<int32_t, double> logit_of;
  const auto at = [&](int32_t id) -> double* {
    if (static_cast<size_t>(id) >= logits.size()) return nullptr;
    return &logit_of.try_emplace(id, logits[static_cast<size_t>(id)]).first->second;
  };
  for (const auto& [id, bias] : options_.logit_bias)
    if (double* const x = at(id)) *x += bias;
  const bool penalizes =
      options_.repetition_penalty != 1 || options_.presence_penalty != 0 || options_.frequency_penalty != 0;
  for (const auto& [id, count] : counts_) {
    double* const x = penalizes ? at(id) : nullptr;
    if (!x) continue;
    *x = *x > 0 ? *x / options_.repetition_penalty : *x * options_.repetition_penalty;
    *x -= options_.presence_penalty + options_.frequency_penalty * static_cast<double>(count);
  }
  std::vector<Candidate> out;
  for (const auto& [id, logit] : logit_of) out.push_back({logit, id});
  return out;
}

std::vector<Sampler::Candidate> Sampler::adjusted(std::span<const float> logits) const {
  std::vector<Candidate> out(logits.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = {logits[i], static_cast<int32_t>(i)};
  for (const Candidate& x : changed(logits)) out[static_cast<size_t>(x.id)] = x;
  std::erase_if(out, [](const Candidate& x) { return !(x.logit > -INFINITY); });  // NaN too
  require(!out.empty(), kAllForbidden);
  return out;
}

int32_t Sampler::likeliest(std::span<const float> logits) const {
  const std::vector<Candidate> apart = changed(logits);
  std::vector<float> rest;
  if (!apart.empty()) {
    rest.assign(logits.begin(), logits.end());
    for (const Candidate& x : apart) rest[static_cast<size_t>(x.id)] = -INFINITY;
    logits = rest;
  }
  const float highest = largest_of(logits);
  Candidate best{-INFINITY, -1};
  if (highest > -INFINITY)
    best = {highest, static_cast<int32_t>(std::find(logits.begin(), logits.end(), highest) - logits.begin())};
  for (const Candidate& x : apart)
    if (x.logit > -INFINITY && (best.id < 0 || comes_later(best, x))) best = x;
  require(best.id >= 0, kAllForbidden);
  return best.id;
}

int32_t Sampler::sample(std::span<const float> logits, std::span<const uint64_t> allowed) {
  return allowed.empty() ? draw(logits) : draw(only_allowed(logits, allowed));
}

int32_t Sampler::draw(std::span<const float> logits) {
  if (options_.temperature == 0) return likeliest(logits);
  std::vector<Candidate> candidates = adjusted(logits);
  // Probabilities are weights over their sum; the likeliest token's weight is 1.
  const double largest = std::max_element(candidates.begin(), candidates.end(), comes_later)->logit;
  const auto weight = [&](const Candidate& x) {
    return x.logit == largest ? 1 : std::exp((x.logit - largest) / options_.temperature);
  };
  Falling falling(candidates);
  size_t kept = candidates.size();
  const auto sum_of_kept = [&] {
    double sum = 0;
    for (size_t i = 0; i < kept; ++i) sum += weight(falling[i]);
    return sum;
  };
  double sum = 0;
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < kept) {
    kept = static_cast<size_t>(options_.top_k);
    sum = sum_of_kept();
  } else {
    for (const Candidate& x : candidates) sum += weight(x);
  }
  if (options_.top_p < 1) {
    double share = 0;
    size_t n = 0;
    while (n < kept && share < options_.top_p * sum) share += weight(falling[n++]);
    kept = n;
  }
  if (options_.min_p > 0) {
    size_t n = 1;
    while (n < kept && weight(falling[n]) >= options_.min_p) ++n;
    kept = n;
  }
  if (kept < candidates.size()) sum = sum_of_kept();
  const double u = static_cast<double>(random_.next() >> 11) * 0x1p-53 * sum;
  double cumulative = 0;
  for (size_t i = 0; i < kept; ++i)
    if ((cumulative += weight(falling[i])) > u) return falling[i].id;
  return falling[kept - 1].id;  // rounding may leave u just above the last sum
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

}  // namespace ingrain::session
