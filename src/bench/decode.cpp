#include "bench/benchmarks.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "bench/work.h"
#include "bench/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>

namespace ingrain::bench {
namespace {

constexpr int64_t kWarmUp = 8;
constexpr int64_t kGroup = 4;    // tokens written to one memory before it is the next one's turn
constexpr int64_t kBlocks = 10;  // of a run, for the intervals

/// One length of context, and what was measured of it in all runs.
struct Context {
  int64_t tokens = 0;
  ttt::Memory memory;                // after them
  Blocks token_ms = {};              // block i of every context was measured at the same time
  std::vector<double> step_ms = {};  // of the tokens that made an inner step; they are in token_ms, too
  std::string graph = {};            // whether a token's work was captured, and if not, why

  std::vector<double> all_ms() const {
    std::vector<double> out;
    for (const auto& block : token_ms) out.insert(out.end(), block.begin(), block.end());
    return out;
  }
};

/// A memory for every length; a longer one goes on from the shorter one's.
std::vector<Context> read_contexts(const Subject& subject, const DecodeOptions& o, const ttt::ReadOptions& reading) {
  std::vector<int64_t> lengths = o.contexts;
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  std::vector<Context> out;
  ttt::Memory memory = ttt::empty_memory(subject.model);
  for (const int64_t length : lengths) {
    const int64_t end = std::max<int64_t>(length, 1);  // an empty context still needs a token to go on from
    read_to(subject, memory, end, reading);
    out.push_back({length, memory.fork()});
  }
  return out;
}

std::string said_of(const ops::Graph& graph) {
  if (graph.captured()) return "captured, launched for every token";
  return "done anew for every token: " + (graph.refusal().empty() ? "nothing was captured yet" : graph.refusal());
}

void write_measured(const Subject& subject, Writer& writer, Context& context) {
  const int64_t steps = writer.steps();
  const Stopwatch watch(subject.device());
  writer.write_token();
  const double ms = 1e3 * watch.seconds();
  context.token_ms.back().push_back(ms);
  if (writer.steps() > steps) context.step_ms.push_back(ms);
}

/// All contexts in turn, a few tokens each; whose turn is first goes round, so that none is always after the same one.
void write_in_turn(const Subject& subject, std::vector<Context>& contexts, int64_t tokens,
                   const ttt::ReadOptions& reading) {
  std::deque<Writer> writers;  // sessions stay where they are
  for (const Context& context : contexts) {
    writers.emplace_back(subject.model, context.memory, reading);
    for (int64_t i = 0; i < kWarmUp; ++i) writers.back().write_token();
    if (contexts.front().token_ms.empty()) go_on();
  }
  const size_t count = contexts.size();
  const int64_t block = std::max(kGroup, (tokens + kBlocks - 1) / kBlocks);
  int64_t done = 0;
  for (size_t round = 0; done < tokens && !(round > 0 && interrupted()); ++round) {
    const int64_t of_block = done % block, group = std::min({kGroup, block - of_block, tokens - done});
    for (size_t turn = 0; turn < count; ++turn) {
      const size_t i = (round + turn) % count;
      if (of_block == 0) contexts[i].token_ms.emplace_back();
      for (int64_t t = 0; t < group; ++t) write_measured(subject, writers[i], contexts[i]);
    }
    done += group;
  }
  for (size_t i = 0; i < count; ++i) contexts[i].graph = said_of(writers[i].graph());
}

void report_context(const Subject& subject, const Context& context, int64_t middle, Report& report) {
  const std::string at = fmt::format("context {}: ", context.tokens);
  const std::vector<double> ms = context.all_ms();
  const double typical = median(ms), total = std::accumulate(ms.begin(), ms.end(), 0.0);
  report.add(at + "tokens", 1e3 * static_cast<double>(ms.size()) / total, "tokens/s");
  report.add(at + "tokens, by the median", 1e3 / typical, "tokens/s");
  report.add(at + "median token", typical, "ms");
  report.add(at + "99th percentile", quantile(ms, 0.99), "ms");
  report.add(at + "longest token", quantile(ms, 1), "ms");
  if (!context.step_ms.empty()) {
    report.add(at + "inner steps", static_cast<double>(context.step_ms.size()), "tokens");
    report.add(at + "inner step token: median", median(context.step_ms), "ms");
  }
  report.facts.push_back({at + "a token's work", context.graph});
  report.add(at + "GB/s", 1e-6 * decoding_bytes(subject.model, context.tokens + middle) / typical, "GB/s");
}

void report_ratio(const Context& context, const Context& first, Report& report) {
  const Ratio ratio = paired_ratio(first.token_ms, context.token_ms);
  const std::string name = fmt::format("context {}: median token, of that at {}", context.tokens, first.tokens);
  report.add(name, ratio.value, "ratio");
  if (first.token_ms.size() < kLeastBlocks) return;
  report.add(name + ", from", ratio.low, "ratio");
  report.add(name + ", to", ratio.high, "ratio");
}

}  // namespace

void bench_decode(const Subject& subject, const DecodeOptions& o, Report& report) {
  ttt::ReadOptions reading;
  reading.learn = o.learn;
  reading.ahead = o.ahead;
  std::vector<Context> contexts = read_contexts(subject, o, reading);
  reading.score = false;
  forget_peak_memory(subject.device());
  for (int64_t run = 0; run < o.runs && !(run > 0 && interrupted()); ++run)
    write_in_turn(subject, contexts, o.tokens, reading);
  for (const Context& context : contexts) {
    report_context(subject, context, kWarmUp + o.tokens / 2, report);
    if (&context != &contexts.front()) report_ratio(context, contexts.front(), report);
  }
  report.add("peak memory", 1e-6 * static_cast<double>(peak_memory(subject.device())), "MB");
}

}  // namespace ingrain::bench
