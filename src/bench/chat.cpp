#include "bench/benchmarks.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "model/device.h"
#include "session/sampler.h"
#include "session/session.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

/// What a conversation's turns cost.
struct Turns {
  std::vector<double> first_ms, answer_ms;
  int64_t whole_loads = 0;
};

Turns converse(const Subject& subject, const ChatOptions& o, const ttt::Memory& before) {
  session::Session session(subject.model, before.fork());
  SamplingOptions greedy;
  greedy.temperature = 0;
  session::Sampler sampler(greedy);
  Tensor logits_V;
  const auto sample = [&] {
    const Tensor on_device_V = session.logits_BV()[0];
    if (!logits_V.defined()) logits_V = room_for_download(on_device_V);
    logits_V.copy_(on_device_V);
    return sampler.sample({logits_V.const_data_ptr<float>(), static_cast<size_t>(logits_V.numel())});
  };
  ttt::ReadOptions writing;
  writing.score = false;
  Turns out;
  for (int64_t turn = 0; turn < o.turns; ++turn) {
    const Tensor question = subject.slice(session.position(), o.question);
    const Stopwatch watch(subject.device());
    session.read(question);
    go_on();
    int32_t token = sample();
    out.first_ms.push_back(1e3 * watch.seconds());
    for (int64_t i = 0; i < o.answer; ++i) {
      session.write(ttt::as_batch({&token, 1}), writing);
      token = sample();
      go_on();
    }
    out.answer_ms.push_back(1e3 * watch.seconds() - out.first_ms.back());
  }
  out.whole_loads = session.loads().whole;
  return out;
}

}  // namespace

void bench_chat(const Subject& subject, const ChatOptions& o, Report& report) {
  ttt::Memory memory = ttt::empty_memory(subject.model);
  read_to(subject, memory, o.context);
  std::vector<double> opening, later, answer;
  int64_t whole_loads = 0;
  whole_runs(o.runs, [&](int64_t) {
    const Turns turns = converse(subject, o, memory);
    opening.push_back(turns.first_ms[0]);
    later.insert(later.end(), turns.first_ms.begin() + 1, turns.first_ms.end());
    answer.insert(answer.end(), turns.answer_ms.begin(), turns.answer_ms.end());
    whole_loads = turns.whole_loads;
  });
  report.add("first question to first token: median", median(opening), "ms");
  report.add("later question to first token: median", median(later), "ms");
  report.add("later question to first token: 90th percentile", quantile(later, 0.9), "ms");
  report.add("answer: median token", median(answer) / static_cast<double>(o.answer), "ms");
  report.add("windows copied whole in a conversation", static_cast<double>(whole_loads), "times");
}

}  // namespace ingrain::bench
