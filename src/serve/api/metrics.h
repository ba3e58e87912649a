// Figures for Prometheus, in its text format.
#pragma once

#include "serve/engine/engine.h"

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace ingrain::serve::api {

/// Seconds in buckets. Not thread-safe.
class SecondsHistogram {
 public:
  void add(double seconds);
  /// Lines of the histogram `name`.
  void write(std::string& out, std::string_view name, std::string_view help) const;

 private:
  static constexpr std::array<double, 16> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                     0.5,   1,      2.5,   5,    10,    30,   60,  300};
  std::array<int64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
  int64_t count_ = 0;
};

/// Thread-safe.
class Metrics {
 public:
  /// `route`: a pattern ("/v1/responses/{id}"), never a path: there are only so many.
  void request(const std::string& route, int status, double seconds);
  void answer(const Outcome& outcome, double seconds_to_first_text);

  std::string text(const EngineStats& stats, int64_t connections) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  SecondsHistogram request_seconds_, first_text_seconds_, queue_seconds_, reading_seconds_, token_seconds_;
};

}  // namespace ingrain::serve::api
