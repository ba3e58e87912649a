#include "tasks/mqar.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace ingrain::tasks {
namespace {

/// `count` different numbers below weights.size(), drawn one after another in proportion to what is left.
std::vector<int64_t> weighted(std::vector<double> weights, int64_t count, data::SplitMix64& random) {
  std::vector<int64_t> out;
  while (static_cast<int64_t>(out.size()) < count) {
    double sum = 0;
    for (const double w : weights) sum += w;
    double left = sum * static_cast<double>(random.next() >> 11) * 0x1p-53;
    size_t i = 0;
    while (i + 1 < weights.size() && (weights[i] == 0 || left >= weights[i])) left -= weights[i++];
    if (weights[i] == 0) continue;  // rounding led beyond the last
    out.push_back(static_cast<int64_t>(i));
    weights[i] = 0;
  }
  return out;
}

/// `count` different numbers of [first, end).
std::vector<int32_t> different(int64_t first, int64_t end, int64_t count, data::SplitMix64& random) {
  std::vector<int32_t> out;
  while (static_cast<int64_t>(out.size()) < count) {
    const auto x = static_cast<int32_t>(first + static_cast<int64_t>(random.below(static_cast<uint64_t>(end - first))));
    if (std::find(out.begin(), out.end(), x) == out.end()) out.push_back(x);
  }
  return out;
}

}  // namespace

MqarExample make_mqar(const MqarOptions& o, data::SplitMix64& random) {
  require(o.pairs >= 1 && o.length % 2 == 0 && o.length >= 4 * o.pairs,
          "MQAR: {} pairs do not fit a length of {}; it must be even and four times as many at least", o.pairs,
          o.length);
  require(o.vocab >= 4 * o.pairs + 2, "MQAR: a vocabulary of {} is too small for {} pairs", o.vocab, o.pairs);
  const std::vector<int32_t> keys = different(1, o.vocab / 2, o.pairs, random);
  const std::vector<int32_t> values = different(o.vocab / 2, o.vocab, o.pairs, random);
  MqarExample out{std::vector<int32_t>(static_cast<size_t>(o.length) + 1, 0), {}};
  for (size_t i = 0; i < keys.size(); ++i) out.tokens[2 * i] = keys[i], out.tokens[2 * i + 1] = values[i];
  std::vector<double> weights;
  for (int64_t k = 1; k <= (o.length - 2 * o.pairs) / 2; ++k)
    weights.push_back(o.power * std::pow(static_cast<double>(k), o.power - 1));
  const std::vector<int64_t> gaps = weighted(std::move(weights), o.pairs, random);
  for (size_t i = 0; i < keys.size(); ++i) {
    const int64_t at = 2 * (o.pairs + gaps[i]);
    out.tokens[static_cast<size_t>(at)] = keys[i];
    out.tokens[static_cast<size_t>(at) + 1] = values[i];
    out.asked.push_back(at);
  }
  std::sort(out.asked.begin(), out.asked.end());
  return out;
}

}  // namespace ingrain::tasks
