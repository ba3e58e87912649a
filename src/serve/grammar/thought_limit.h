// Thoughts of at most so many tokens.
#pragma once

#include "serve/grammar/constraint.h"
#include "serve/grammar/token_trie.h"
#include "serve/grammar/tool_calls.h"

namespace ingrain::serve {

/// What `inner` allows (nullptr: anything), but after `most` tokens of thoughts the tokens `closing` come, which end
/// them. `reader`: how the answer is read. REQUIRES: `inner` allows any text in thoughts, and `closing` after it.
std::shared_ptr<const Constraint> limit_thoughts(const std::shared_ptr<const Constraint>& inner,
                                                 AnswerReader::Options reader, int64_t most,
                                                 std::vector<int32_t> closing, std::shared_ptr<const TokenTrie> trie);

}  // namespace ingrain::serve
