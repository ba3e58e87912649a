// A TokenizerSpec as the text of a tokenizer.json.
#pragma once

#include <string>

#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

/// A tokenizer.json for this program and others. REQUIRES: Tokenizer(spec) can be made; pre-tokenizer steps are
/// patterns whose matches are isolated or removed, or Metaspace; merges_by_rank is not set. A file lists merges one by
/// one, so of merges by score those of one token follow each other, in place of all at once.
std::string write_tokenizer_json(const TokenizerSpec& spec);

}  // namespace ingrain::tokenizer
