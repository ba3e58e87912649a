// Reading into a memory.
#pragma once

#include "ingrain/memory.h"

#include <functional>

namespace ingrain {

/// One inner step: a chunk that was learnt from.
struct InnerStep {
  int64_t step;          // 0-based, of all that the memory has made
  double loss_before;    // mean loss of the chunk's tokens with the weights that had not seen it, nats
  double loss_after;     // the same after the step; NaN unless ReaderOptions::measure_steps
  double gradient_norm;  // before the clip
};

struct ReaderOptions {
  bool learn = true;           // make inner steps; otherwise only the window is filled
  bool begin_text = true;      // a memory that has read nothing reads the model's beginning-of-text token before a text
  bool parse_special = false;  // special tokens written in a text become their ids; else they are text like any other
  bool written = false;        // these are the model's own words: they count in no loss, as under Learn::input
  bool measure_steps = false;  // compute InnerStep::loss_after, which costs one more pass over every chunk
  // When one of these throws, reading stops at a place where keep_going could have stopped it; then the exception goes
  // on.
  std::function<void(const InnerStep&)> on_step = {};
  std::function<bool(int64_t tokens)> keep_going =
      {};  // asked now and then with the tokens read by this call; false stops
};

/// What a call read.
struct Reading {
  int64_t tokens = 0;
  std::vector<float> nll;  // -log p of each token given all before it, nats; NaN for the memory's very first
  bool stopped = false;    // keep_going said so: the rest was not read
};

/// Reads text or tokens into a memory, which must outlive it. Error, naming the position, at the first loss or inner
/// gradient that is not finite: the memory is spoilt then, so keep a copy where that may happen. Any split of a text
/// into calls gives the same memory, up to the order of floating-point sums; a token's score never depends on later
/// ones. One thread at a time.
class Reader {
 public:
  explicit Reader(Memory& memory, ReaderOptions options = {});
  ~Reader();

  /// The next part of a text, of any length. What follows its last safe place to cut (between two words) is kept
  /// until more comes, so that the tokens do not depend on how the text was split. Stopped, by
  /// keep_going or an exception, what was not read is dropped and the text is over.
  Reading feed(std::string_view text);
  /// The end of the text: reads what was kept.
  Reading finish();
  /// A whole text: feed() and finish().
  Reading read(std::string_view text);
  /// Tokens as they are. Error for ids that the model does not have. REQUIRES: no text is being fed.
  Reading read(std::span<const int32_t> tokens);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingrain
