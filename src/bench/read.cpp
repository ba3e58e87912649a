#include "bench/benchmarks.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "bench/work.h"
#include "ttt/read.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

constexpr int64_t kEarly = 32768;  // tokens after which memory's use has settled

struct ReadRun {
  double seconds = 0;
  uint64_t peak_early = 0, peak = 0;
};

ReadRun read_once(const Subject& subject, int64_t tokens, bool learn) {
  ttt::Memory memory = ttt::empty_memory(subject.model);
  ttt::ReadOptions reading;
  reading.learn = learn;
  ReadRun out;
  forget_peak_memory(subject.device());
  const Stopwatch watch(subject.device());
  if (tokens >= kEarly) {
    read_to(subject, memory, kEarly, reading);
    out.peak_early = peak_memory(subject.device());
  }
  read_to(subject, memory, tokens, reading);
  out.seconds = watch.seconds();
  out.peak = peak_memory(subject.device());
  return out;
}

}  // namespace

void bench_read(const Subject& subject, const ReadOptions& o, Report& report) {
  const ModelConfig& c = subject.model.config;
  read_once(subject, std::min(o.tokens, 2 * c.chunk), o.learn);  // warm-up
  std::vector<double> seconds;
  ReadRun first;
  whole_runs(o.runs, [&](int64_t i) {
    const ReadRun run = read_once(subject, o.tokens, o.learn);
    if (i == 0) first = run;
    seconds.push_back(run.seconds);
  });
  const double middle = median(seconds);
  const Work work = o.learn ? reading_work(c, 0, o.tokens) : forward_work(c, 0, o.tokens);
  report.add("reading: tokens", static_cast<double>(o.tokens) / middle, "tokens/s");
  report.add("reading: slowest run", static_cast<double>(o.tokens) / *std::max_element(seconds.begin(), seconds.end()),
             "tokens/s");
  report.add("reading: work a token", 1e-6 * work.total() / static_cast<double>(o.tokens), "M multiply-adds");
  report.add("reading: GFLOP/s", 2e-9 * work.total() / middle, "GFLOP/s");
  if (first.peak_early > 0)
    report.add("peak memory after 32,768 tokens", 1e-6 * static_cast<double>(first.peak_early), "MB");
  report.add("peak memory", 1e-6 * static_cast<double>(first.peak), "MB");
  if (first.peak_early > 0)
    report.add("peak memory: end / 32,768", static_cast<double>(first.peak) / static_cast<double>(first.peak_early),
               "ratio");
}

}  // namespace ingrain::bench
