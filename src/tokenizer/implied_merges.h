// Merges that no file lists, because they follow from the vocabulary.
#pragma once

#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

class Vocabulary;

/// Every way in which a token is the concatenation of two tokens: with spec.merges_by_rank in the order of the ids
/// (tiktoken), with merges_by_score in that of the scores, all ways to one token at once (SentencePiece). Error for
/// more than a file of honest size has.
std::vector<Merge> implied_merges(const TokenizerSpec& spec, const Vocabulary& vocabulary);

}  // namespace ingrain::tokenizer
