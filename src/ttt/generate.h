// Writing: each sampled token is read into the memory, exactly as if it had been given.
#pragma once

#include "data/tokenizer.h"
#include "ttt/memory.h"
#include "ttt/sampler.h"

#include <functional>

namespace ingrain::ttt {

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  // ends before any of these; they are not given out
  ReadOptions reading;            // of the sampled tokens: learn, learn_these
  std::function<bool()> keep_going;  // asked before each token
};

enum class StopReason { end_of_text, stop_string, max_tokens, interrupted };

struct Generated {
  std::vector<int32_t> tokens;  // sampled and read, an end-of-text token included
  std::string text;             // all that was given out
  StopReason reason = StopReason::max_tokens;
};

/// Continues what `memory` has read. `seen`: tokens that count for the penalties from the start. `on_text` gets whole
/// characters as they come. Error if nothing was read. REQUIRES: memory of one sequence.
Generated generate(const Model& model, const data::Tokenizer& tokenizer, Memory& memory, std::span<const int32_t> seen,
                   const GenerateOptions& options, const std::function<void(std::string_view)>& on_text);

/// "end of text", "stop string", "maximum of tokens", "interrupted".
const char* describe(StopReason reason);

}  // namespace ingrain::ttt
