// The parts of a tokenizer.json, each read into its part of a TokenizerSpec. Errors name file and field.
#pragma once

#include <optional>

#include "base/json_fields.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

constexpr int kMaxNesting = 8;  // of Sequences inside Sequences

/// "normalizer".
void read_normalizer(const Field& field, TokenizerSpec& spec);
/// "pre_tokenizer"; spec.alphabet is bytes if it ends with ByteLevel, else characters. `prefix_space`, if it is there,
/// is ByteLevel's add_prefix_space, whatever the field says.
void read_pre_tokenizer(const Field& field, std::optional<bool> prefix_space, TokenizerSpec& spec);
/// "model": vocabulary, merges or scores. Needs spec.alphabet.
void read_model(const Field& field, TokenizerSpec& spec);
/// "post_processor": what is put around a text.
void read_post_processor(const Field& field, int depth, TokenizerSpec& spec);
/// "decoder". Needs spec.alphabet.
void read_decoder(const Field& field, TokenizerSpec& spec);

/// The sign of a Metaspace, and when it is put before a text.
std::string read_metaspace_sign(const Field& field);
PrependScheme read_prepend_scheme(const Field& field);

/// The fields' parts of a pattern: {"String": ...} or {"Regex": ...}.
struct JsonPattern {
  std::string text;
  bool is_regex;
};
JsonPattern read_pattern(const Field& field);

}  // namespace ingrain::tokenizer
