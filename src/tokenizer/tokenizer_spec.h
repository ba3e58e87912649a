// A byte-level BPE tokenizer as plain data: what tokenizer.json, a tiktoken file or GGUF metadata say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/normal_form.h"
#include "tokenizer/regex.h"

namespace ingrain::tokenizer {

/// Ids are below this: no vocabulary comes near, and a hostile file must not ask for more memory.
constexpr int32_t kMaxTokenId = 1 << 21;

/// What happens to the matches of a split pattern; the names are Hugging Face's.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// One step of the cutting of text into pieces, inside which BPE works.
struct PreTokenizerStep {
  enum class Kind { regex, literal, prefix_space };
  Kind kind = Kind::regex;
  std::string pattern = {};  // a regular expression, or a literal string; unused by prefix_space
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;  // the pattern describes the gaps instead of the matches
  Dialect dialect = Dialect::oniguruma;
};

/// The steps of a known tokenizer, by Hugging Face's, tiktoken's or GGUF's (tokenizer.ggml.pre) name:
/// gpt2, r50k_base, smollm, llama-bpe, cl100k_base, qwen2, o200k_base and their synonyms.
/// Error naming the known ones for any other; `where` begins its text.
std::vector<PreTokenizerStep> named_pre_tokenizer(std::string_view name, const std::string& where);
/// Whether tokenizers of this name take a piece that is a token whole; and begin a text with bos unless a file denies
/// it.
struct NamedHabits {
  bool ignore_merges = false, begins_with_bos = false;
};
NamedHabits named_habits(std::string_view name);

/// The step that sets numbers apart from all else: every digit alone, or runs of them (Hugging Face's Digits).
PreTokenizerStep digits_step(bool individual);

/// A token found in the text itself, before any splitting.
struct AddedToken {
  int32_t id = 0;
  std::string content = {};
  bool special = false;
  bool normalized = false;   // is searched in the normalized text
  bool lstrip = false;       // takes white space before it
  bool rstrip = false;       // takes white space after it
  bool single_word = false;  // only where no word character touches it
};

using NamedTokens = std::vector<std::pair<std::string, std::string>>;  // name and content, in the files' order

struct TokenizerSpec {
  std::string source;  // file name or the like; begins every error's text

  /// tokens[id] in the written form of GPT-2's vocabulary files (write_bytes: a space is "Ġ"); "" where the id is
  /// unused or belongs to an added token alone. A token with characters outside that alphabet never comes out
  /// of BPE and decodes to its own UTF-8.
  std::vector<std::string> tokens;

  /// In order of priority, in written form. With `merges_by_rank` there are none: any two neighbours whose
  /// concatenation is a token merge, lowest id first (tiktoken's rule).
  std::vector<std::pair<std::string, std::string>> merges;
  bool merges_by_rank = false;
  bool ignore_merges = false;  // a piece that is a token is taken whole, without merging

  std::vector<PreTokenizerStep> pre_tokenizer;
  std::optional<NormalForm> normal_form;
  std::vector<AddedToken> added_tokens;

  std::optional<std::string> unk_token;  // for bytes that the vocabulary lacks; none: such bytes are left out
  bool fuse_unk = false;

  /// What EncodeOptions::add_special_tokens puts around a text.
  std::vector<int32_t> template_before, template_after;
  std::optional<int32_t> bos, eos;

  /// What a chat template sees by name: "bos_token", "pad_token", "image_token" - what the files say, nothing guessed.
  NamedTokens named_tokens;
  /// Of the added tokens that are not special, those that a message may not mean; none: what the template writes
  /// itself.
  std::optional<std::vector<std::string>> chat_control_tokens;
  /// What is odd about the files, in whole sentences; it works all the same.
  std::vector<std::string> warnings;
};

}  // namespace ingrain::tokenizer
