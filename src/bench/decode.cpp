#include "bench/benchmarks.h"
#include "bench/stopwatch.h"
#include "bench/work.h"
#include "ttt/memory.h"
#include "ttt/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace ingrain::bench {
namespace {

constexpr int64_t kPiece = 32768, kWarmUp = 8;

struct Context {
  int64_t tokens = 0;
  ttt::Memory memory;                      // after them
  std::vector<double> token_ms, run_seconds;  // of all runs
};

/// A memory for every length; a longer one goes on from the shorter one's.
std::vector<Context> read_contexts(const Subject& subject, const DecodeOptions& o, const ttt::ReadOptions& reading) {
  std::vector<int64_t> lengths = o.contexts;
  std::sort(lengths.begin(), lengths.end());
  std::vector<Context> out;
  ttt::Memory memory = ttt::empty_memory(subject.model);
  for (const int64_t length : lengths) {
    const int64_t end = std::max<int64_t>(length, 1);  // an empty context still needs a token to go on from
    while (memory.position < end)
      ttt::read(subject.model, memory, subject.slice(memory.position, std::min(kPiece, end - memory.position)), reading);
    out.push_back({length, memory.fork(), {}, {}});
  }
  return out;
}

/// What generate() does for a token, without text.
void write_token(const Network& model, ttt::Memory& memory, ttt::Sampler& sampler, const ttt::ReadOptions& reading) {
  const Tensor logits_V = ttt::next_logits(model, memory)[0].to(at::kFloat).contiguous();
  const int32_t token = sampler.sample({logits_V.const_data_ptr<float>(), static_cast<size_t>(logits_V.numel())});
  sampler.accept(token);
  ttt::read(model, memory, ttt::as_batch({&token, 1}), reading);
}

void write_tokens(const Subject& subject, Context& context, const DecodeOptions& o, const ttt::ReadOptions& reading) {
  ttt::Memory memory = context.memory.fork();
  SamplingOptions greedy;
  greedy.temperature = 0;
  ttt::Sampler sampler(greedy);
  for (int64_t i = 0; i < kWarmUp; ++i) write_token(subject.model, memory, sampler, reading);
  double total = 0;
  for (int64_t i = 0; i < o.tokens; ++i) {
    const Stopwatch watch;
    write_token(subject.model, memory, sampler, reading);
    const double seconds = watch.seconds();
    total += seconds;
    context.token_ms.push_back(1e3 * seconds);
  }
  context.run_seconds.push_back(total);
}

}  // namespace

void bench_decode(const Subject& subject, const DecodeOptions& o, Report& report) {
  ttt::ReadOptions reading;
  reading.learn = o.learn;
  std::vector<Context> contexts = read_contexts(subject, o, reading);
  reading.score = false;
  for (int64_t run = 0; run < o.runs; ++run)
    for (Context& context : contexts) write_tokens(subject, context, o, reading);
  double first_rate = 0;
  for (const Context& context : contexts) {
    const std::string at = fmt::format("context {}: ", context.tokens);
    const double rate = static_cast<double>(o.tokens) / median(context.run_seconds), typical = median(context.token_ms);
    report.add(at + "tokens", rate, "tokens/s");
    report.add(at + "median token", typical, "ms");
    report.add(at + "99th percentile", quantile(context.token_ms, 0.99), "ms");
    report.add(at + "longest token", quantile(context.token_ms, 1), "ms");
    report.add(at + "GB/s", 1e-6 * decoding_bytes(subject.model, context.tokens + kWarmUp + o.tokens / 2) / typical, "GB/s");
    if (first_rate > 0) report.add(at + fmt::format("tokens/s, of those at {}", contexts[0].tokens), rate / first_rate, "ratio");
    if (first_rate == 0) first_rate = rate;
  }
  report.add("peak memory", 1e-6 * static_cast<double>(peak_memory()), "MB");
}

}  // namespace ingrain::bench
