#include "base/interrupt.h"
#include "bench/benchmarks.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "session/session.h"

namespace ingrain::bench {
namespace {

/// Conversations of different lengths that write in one batch: tokens/s of all together.
double write_together(const Subject& subject, const StreamsOptions& o, int64_t streams) {
  session::Batch batch(subject.model);
  std::vector<std::unique_ptr<session::Session>> sessions;
  for (int64_t i = 0; i < streams; ++i) {
    sessions.push_back(std::make_unique<session::Session>(subject.model, ttt::empty_memory(subject.model)));
    sessions.back()->read(subject.slice(997 * i, o.context + i));
    batch.add(*sessions.back());
  }
  ttt::ReadOptions writing;
  writing.score = false;
  writing.learn = o.learn;
  const auto step = [&] {
    std::vector<session::Batch::Turn> turns;
    for (const auto& session : sessions) {
      const int32_t token = static_cast<int32_t>(session->logits_BV()[0].argmax().item<int64_t>());
      turns.push_back({*session, ttt::as_batch({&token, 1}), writing});
    }
    batch.step(turns);
  };
  for (int64_t i = 0; i < 4; ++i) step();  // captures
  const Stopwatch watch(subject.device());
  for (int64_t i = 0; i < o.tokens; ++i) step();
  return static_cast<double>(o.tokens * streams) / watch.seconds();
}

}  // namespace

void bench_streams(const Subject& subject, const StreamsOptions& o, Report& report) {
  for (const int64_t streams : o.streams) {
    std::vector<double> rates;
    for (int64_t run = 0; run < o.runs && !(run > 0 && interrupted()); ++run)
      rates.push_back(write_together(subject, o, streams));
    const std::string name = std::to_string(streams) + (streams == 1 ? " stream: tokens" : " streams: tokens");
    report.add(name, median(rates), "tokens/s");
  }
}

}  // namespace ingrain::bench
