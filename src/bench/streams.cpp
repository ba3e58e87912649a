#include "bench/benchmarks.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "session/sampler.h"
#include "session/session.h"

#include <ATen/Parallel.h>

namespace ingrain::bench {
namespace {

/// Everybody's likeliest token, drawn as the server draws them: threads share the texts.
std::vector<int32_t> draw_all(const std::vector<std::unique_ptr<session::Session>>& sessions) {
  SamplingOptions greedy;
  greedy.temperature = 0;
  std::vector<Tensor> logits_of;
  for (const auto& session : sessions) logits_of.push_back(session->logits_BV()[0]);
  std::vector<int32_t> out(sessions.size());
  at::parallel_for(0, static_cast<int64_t>(out.size()), 1, [&](int64_t begin, int64_t end) {
    for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const Tensor logits_V = logits_of[i].to(at::kCPU, at::kFloat).contiguous();
      out[i] =
          session::Sampler(greedy).sample({logits_V.const_data_ptr<float>(), static_cast<size_t>(logits_V.numel())});
    }
  });
  return out;
}

/// Conversations of different lengths that write in one batch: tokens/s of all together.
double write_together(const Subject& subject, const StreamsOptions& o, int64_t streams) {
  session::Batch batch(subject.model);
  std::vector<std::unique_ptr<session::Session>> sessions;
  for (int64_t i = 0; i < streams; ++i) {
    sessions.push_back(std::make_unique<session::Session>(subject.model, ttt::empty_memory(subject.model)));
    sessions.back()->read(subject.slice(997 * i, o.context + i));
    batch.add(*sessions.back());
    go_on();
  }
  ttt::ReadOptions writing;
  writing.score = false;
  writing.learn = o.learn;
  const auto step = [&] {
    const std::vector<int32_t> tokens = draw_all(sessions);
    std::vector<session::Batch::Turn> turns;
    for (size_t i = 0; i < sessions.size(); ++i)
      turns.push_back({*sessions[i], ttt::as_batch({&tokens[i], 1}), writing});
    batch.step(turns);
    go_on();
  };
  for (int64_t i = 0; i < 4; ++i) step();  // captures
  const Stopwatch watch(subject.device());
  for (int64_t i = 0; i < o.tokens; ++i) step();
  return static_cast<double>(o.tokens * streams) / watch.seconds();
}

}  // namespace

void bench_streams(const Subject& subject, const StreamsOptions& o, Report& report) {
  whole_runs(static_cast<int64_t>(o.streams.size()), [&](int64_t row) {
    const int64_t streams = o.streams[static_cast<size_t>(row)];
    std::vector<double> rates;
    whole_runs(o.runs, [&](int64_t) { rates.push_back(write_together(subject, o, streams)); });
    const std::string name = std::to_string(streams) + (streams == 1 ? " stream: tokens" : " streams: tokens");
    report.add(name, median(rates), "tokens/s");
  });
}

}  // namespace ingrain::bench
