#include "bench/latency.h"

#include "bench/machine.h"
#include "bench/runs.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "ingrain/generate.h"
#include "ingrain/reader.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

constexpr int64_t kFirstTokens = 8;

/// Reads on to position `end`, in pieces that keep memory's use the same for a text of any length.
double seconds_to(std::span<const int32_t> text, Memory& memory, int64_t end, bool learn) {
  constexpr int64_t kPiece = 32768;  // a multiple of what is read at once
  const Stopwatch watch(at::Device(memory.model().device()));
  Reader reader(memory, {.learn = learn, .keep_going = [](int64_t) { return !interrupted(); }});
  std::vector<int32_t> piece;
  while (memory.position() < end) {
    const int64_t first = memory.position(), n = std::min(kPiece, end - first);
    piece.clear();
    for (int64_t i = first; i < first + n; ++i) piece.push_back(text[static_cast<size_t>(i) % text.size()]);
    reader.read(std::span<const int32_t>(piece));
    go_on();
  }
  return watch.seconds();
}

/// Milliseconds of each token that a copy of the memory writes. Text that ends is gone on with.
std::vector<double> write_after(const Memory& memory, int64_t tokens, bool learn) {
  Memory copy = memory;
  const at::Device device(copy.model().device());
  GenerateOptions how;
  how.sampling.temperature = 0;
  how.learn = learn ? Learn::all : Learn::off;
  std::vector<double> ms;
  while (std::ssize(ms) < kFirstTokens + tokens) {
    std::optional<Stopwatch> watch;  // since a token's begin
    const auto note = [&] {
      if (watch) ms.push_back(1e3 * watch->seconds());
      watch.emplace(device);
    };
    how.max_tokens = kFirstTokens + tokens - std::ssize(ms);
    how.keep_going = [&] {
      note();
      return !interrupted();
    };
    generate(copy, how);
    note();
    go_on();
  }
  ms.erase(ms.begin(), ms.begin() + kFirstTokens);
  return ms;
}

}  // namespace

std::vector<Latency> measure_latency(const Model& model, std::span<const int32_t> text, const LatencyOptions& o) {
  std::vector<int64_t> contexts = o.contexts;
  std::sort(contexts.begin(), contexts.end());
  contexts.erase(std::unique(contexts.begin(), contexts.end()), contexts.end());
  Memory warm(model), memory(model);
  seconds_to(text, warm, 2 * model.chunk(), o.learn);
  std::vector<Latency> out;
  double seconds = 0;
  for (const int64_t context : contexts) {
    seconds += seconds_to(text, memory, context, o.learn);
    const std::vector<double> ms = write_after(memory, o.tokens, o.learn);
    out.push_back({context, seconds, median(ms), quantile(ms, 0.25), quantile(ms, 0.75), memory.bytes(),
                   peak_memory(at::Device(model.device()))});
  }
  return out;
}

}  // namespace ingrain::bench
