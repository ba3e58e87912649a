// A tokenizer as plain data: what tokenizer.json, a tiktoken file or GGUF metadata say.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/decoder.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/regex.h"

namespace ingrain::tokenizer {

/// SentencePiece's sign for a blank, U+2581.
inline constexpr std::string_view kBlankSign = "\xE2\x96\x81";

/// Ids are below this: no vocabulary comes near, and a hostile file must not ask for more memory.
constexpr int32_t kMaxTokenId = 1 << 21;

/// What happens to the matches of a split pattern; the names are Hugging Face's.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Before which pieces a Metaspace step puts its sign: the one that begins the whole text, every one, or none.
enum class PrependScheme { first, always, never };

/// One step of the cutting of text into pieces, inside which the model works.
struct PreTokenizerStep {
  enum class Kind { regex, literal, prefix_space, metaspace };
  Kind kind = Kind::regex;
  std::string pattern = {};  // a regular expression, or a literal string; metaspace: the sign; unused by prefix_space
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;  // the pattern describes the gaps instead of the matches
  Dialect dialect = Dialect::oniguruma;
  PrependScheme prepend = PrependScheme::always;  // metaspace
  bool split = true;                              // metaspace: before every sign
};

/// The steps of a known tokenizer, by Hugging Face's, tiktoken's or GGUF's (tokenizer.ggml.pre) name:
/// gpt2, r50k_base, smollm, llama-bpe, cl100k_base, qwen2, o200k_base and their synonyms.
/// Error naming the known ones for any other; `where` begins its text.
std::vector<PreTokenizerStep> named_pre_tokenizer(std::string_view name, const std::string& where);
/// Whether tokenizers of this name take a piece that is a token whole; begin a text with bos unless a file denies it;
/// and write a space as U+2581, other characters as they are, not byte by byte.
struct NamedHabits {
  bool ignore_merges = false, begins_with_bos = false, characters = false;
};
NamedHabits named_habits(std::string_view name);

/// The step that sets numbers apart from all else: every digit alone, or runs of them (Hugging Face's Digits).
PreTokenizerStep digits_step(bool individual);

/// The step that leaves white space out and cuts there (Hugging Face's WhitespaceSplit).
PreTokenizerStep white_space_step();

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

/// How tokens are written, and what merges or competes within a piece: bytes (GPT-2's alphabet: a space is "Ġ"), or
/// characters, as they are.
enum class Alphabet { bytes, characters };
/// What makes tokens of a piece: merges, or the cheapest cut by the tokens' scores.
enum class ModelKind { bpe, unigram };

using NamedTokens = std::vector<std::pair<std::string, std::string>>;  // name and content, in the files' order

struct TokenizerSpec {
  std::string source;  // file name or the like; begins every error's text

  /// tokens[id] in the alphabet's written form; "" where the id is unused or belongs to an added token alone. Among
  /// bytes, a token with characters outside GPT-2's alphabet never comes out of BPE and decodes to its own UTF-8.
  std::vector<std::string> tokens;
  Alphabet alphabet = Alphabet::bytes;
  ModelKind model = ModelKind::bpe;

  /// BPE: in order of priority, in written form. With `merges_by_rank` there are none: any two neighbours whose
  /// concatenation is a token merge, lowest id first (tiktoken's rule).
  std::vector<std::pair<std::string, std::string>> merges;
  bool merges_by_rank = false;
  bool ignore_merges = false;  // a piece that is a token is taken whole, without merging

  /// One for each of `tokens`. Unigram: logarithms of probabilities. BPE, with `merges_by_score`: any two neighbours
  /// whose concatenation is a token merge, highest score first, of equals the leftmost (SentencePiece's rule); tokens
  /// with the score kNeverMerged do not take part.
  std::vector<double> scores;
  bool merges_by_score = false;
  static constexpr double kNeverMerged = -std::numeric_limits<double>::infinity();

  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<DecoderStep> decoder;  // none: tokens stand for their bytes, or characters, as they are
  std::vector<AddedToken> added_tokens;

  std::optional<std::string> unk_token;  // for what the vocabulary lacks; none: such bytes are left out
  bool fuse_unk = false;
  bool byte_fallback = false;  // what the vocabulary lacks becomes <0x41>, one for each byte, where it has them

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
