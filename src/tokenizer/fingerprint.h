// A number for all that decides ids.
#pragma once

#include <cstdint>

#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

/// Equal for equal specs; it stands in files, so what a spec does not use changes nothing of it.
uint64_t fingerprint_of(const TokenizerSpec& spec);

}  // namespace ingrain::tokenizer
