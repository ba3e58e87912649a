// Writing: continuing what a memory has read. Each sampled token is read, exactly as if it had been given.
#pragma once

#include "ingrain/memory.h"
#include "ingrain/sampling.h"

#include <functional>

namespace ingrain {

/// What the memory learns from (every chunk makes one inner step; this says which of its tokens count in its loss).
enum class Learn {
  all,    // what was given and what was written
  input,  // only what was given
  off,    // nothing: no inner steps
};

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  // ends before any of these; they are not given out. A special token ends by its id
  Learn learn = Learn::all;
  std::function<bool()> keep_going;  // asked before each token; false ends the text
};

enum class StopReason { end_of_text, stop_string, max_tokens, interrupted };

/// "end of text", "stop string", "maximum of tokens", "interrupted".
const char* describe(StopReason reason);

struct Generated {
  std::vector<int32_t> tokens;  // sampled and read, an end-of-text token included
  std::string text;             // all that was given out
  StopReason reason = StopReason::max_tokens;
};

/// OptionError for options out of range, or of a token that the model does not have. What writes asks it, too; ask
/// before long reading.
void require_possible(const GenerateOptions& options, const Model& model);

/// `on_text` gets whole characters as they come. `seen`: tokens that count for the penalties from the start. The same
/// memory, options and machine give the same text. Error if nothing was read; UsageError for sampling options out of
/// range.
Generated generate(Memory& memory, const GenerateOptions& options,
                   const std::function<void(std::string_view)>& on_text = {}, std::span<const int32_t> seen = {});

}  // namespace ingrain
