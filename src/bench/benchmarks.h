// The benchmarks of `ingrain bench`. Each adds its figures to a report; times are medians over runs. An interrupt
// (base/interrupt.h) ends them at once, with the runs that were whole by then (of writing: one turn of every context);
// Stopped, if there was none.
#pragma once

#include "bench/report.h"
#include "bench/subject.h"
#include "ttt/read.h"

namespace ingrain::bench {

struct ReadOptions {
  int64_t tokens = 8192, runs = 3;
  bool learn = true;
};
/// Reading a text from its start: tokens/s, GFLOP/s by the documented count, and the peak of memory after 32,768 tokens
/// and at the end (measured in the first run).
void bench_read(const Subject& subject, const ReadOptions& options, Report& report);

struct DecodeOptions {
  std::vector<int64_t> contexts = {0, 4096};  // tokens read before
  int64_t tokens = 128, runs = 3;             // tokens written in each run, which starts from the contexts again
  bool learn = true;
  int64_t ahead = ttt::ReadOptions{}.ahead;
};
/// Writing, for each length of context: tokens/s of all tokens together and by the median; the time of a token (median,
/// 99th percentile, longest) and of those that make an inner step; from the second on the median's ratio to that of the
/// shortest context with its 95% interval. Every token is sampled greedily and read. All contexts are written to in
/// turn, a few tokens each, so that what disturbs the machine disturbs all alike.
void bench_decode(const Subject& subject, const DecodeOptions& options, Report& report);

struct ChatOptions {
  int64_t context = 8192, turns = 20, question = 32, answer = 64, runs = 3;  // tokens before, of a question, an answer
};
/// A conversation of some turns after a text: the time from a question to its answer's first token, of the first
/// question and of the later ones, the time of the other tokens, and how often windows were copied whole.
void bench_chat(const Subject& subject, const ChatOptions& options, Report& report);

struct StreamsOptions {
  std::vector<int64_t> streams = {1, 4, 16, 64};
  int64_t context = 64, tokens = 64, runs = 3;  // tokens read before, and written by each
  bool learn = true;
};
/// So many conversations, each at a position of its own, that write in one batch: tokens/s of all together.
void bench_streams(const Subject& subject, const StreamsOptions& options, Report& report);

struct TrainOptions {
  std::vector<std::string> modes = {"meta", "standard"};
  int64_t length = 8192, batch = 1, runs = 3;
  bool recompute = true;
};
/// The outer gradient without the optimizer, modes alternating: tokens/s, GFLOP/s, and how many standard steps a meta
/// step takes. OptionError for an unknown mode.
void bench_train(const Subject& subject, const TrainOptions& options, Report& report);

}  // namespace ingrain::bench
