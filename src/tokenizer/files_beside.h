// What the files beside a tokenizer.json say of its tokens.
#pragma once

#include <optional>
#include <string>

#include "base/json_fields.h"
#include "tokenizer/tokenizer.h"

namespace ingrain::tokenizer {

/// Adds to `spec`, which has all that tokenizer.json says, what transformers 5 takes from the files beside it: tokens
/// that only they know, flags, names, bos and eos. Error naming file and field for what is malformed.
void read_files_beside(const FilesBeside& files, TokenizerSpec& spec);

/// Whether ByteLevel sets a space before a text where tokenizer_config.json decides it, against tokenizer.json: for the
/// classes of transformers (4 and 5) that make that step themselves, without one by default. Nothing for other classes.
std::optional<bool> prefix_space_of_class(const FilesBeside& files, const std::string& source);

/// Added tokens with ids from `rows` on are taken out, with a warning: the model has no embedding for them.
void drop_tokens_without_a_row(int32_t rows, TokenizerSpec& spec);

/// A token as "added_tokens" and "added_tokens_decoder" describe it.
AddedToken read_added_token(const Field& field, int32_t id);

}  // namespace ingrain::tokenizer
