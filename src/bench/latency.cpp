#include "bench/latency.h"

#include "bench/machine.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "bench/writer.h"
#include "ttt/memory_file.h"
#include "ttt/read.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

constexpr int64_t kFirstTokens = 8;

double seconds_to(const Subject& subject, ttt::Memory& memory, int64_t end, const ttt::ReadOptions& reading) {
  const Stopwatch watch(subject.device());
  read_to(subject, memory, end, reading);
  return watch.seconds();
}

std::vector<double> write_after(const Subject& subject, const ttt::Memory& memory, int64_t tokens,
                                const ttt::ReadOptions& reading) {
  Writer writer(subject.model, memory, reading);
  for (int64_t i = 0; i < kFirstTokens; ++i) writer.write_token();
  std::vector<double> out;
  for (int64_t i = 0; i < tokens; ++i) {
    const Stopwatch watch(subject.device());
    writer.write_token();
    out.push_back(1e3 * watch.seconds());
    go_on();
  }
  return out;
}

}  // namespace

std::vector<Latency> measure_latency(const Subject& subject, const LatencyOptions& o) {
  std::vector<int64_t> contexts = o.contexts;
  std::sort(contexts.begin(), contexts.end());
  contexts.erase(std::unique(contexts.begin(), contexts.end()), contexts.end());
  ttt::ReadOptions reading, writing;
  reading.learn = writing.learn = o.learn;
  writing.score = false;
  ttt::Memory warm = ttt::empty_memory(subject.model), memory = ttt::empty_memory(subject.model);
  seconds_to(subject, warm, 2 * subject.model.config.chunk, reading);
  std::vector<Latency> out;
  double seconds = 0;
  for (const int64_t context : contexts) {
    seconds += seconds_to(subject, memory, context, reading);
    const std::vector<double> ms = write_after(subject, memory, o.tokens, writing);
    out.push_back({context, seconds, median(ms), quantile(ms, 0.25), quantile(ms, 0.75), ttt::memory_bytes(memory),
                   peak_memory(subject.device())});
  }
  return out;
}

}  // namespace ingrain::bench
